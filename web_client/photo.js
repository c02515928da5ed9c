// A photo as the server can best take it: not larger than it is of use, and in a format that it reads.
// Touches nothing but the file that it is given.

const LARGE_BYTES = 4_000_000;
const SIDE_PX = 2048;

/**
 * Phones make photos of 12 MB, and of kinds (HEIC) that only they read: those are made smaller, and JPEG, here. A file that
 * this browser cannot read goes as it is; the server says what is wrong with it.
 * @param {File} file
 * @returns {Promise<File>}
 */
export async function prepared(file) {
  const isForeign = /hei[cf]|avif/i.test(file.type + file.name);
  if (file.size <= LARGE_BYTES && !isForeign) return file;
  let picture;
  try {
    picture = await createImageBitmap(file); // turned upright by its EXIF
  } catch {
    return file;
  }
  const scale = Math.min(1, SIDE_PX / Math.max(picture.width, picture.height));
  const canvas = new OffscreenCanvas(Math.round(picture.width * scale), Math.round(picture.height * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  const jpeg = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.93 });
  return new File([jpeg], file.name.replace(/\.\w+$/, "") + ".jpg", { type: "image/jpeg" });
}
