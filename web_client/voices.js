// The voices to choose from, by language, the reader's own languages first.
// Touches one <select>.

import { element } from "./dom.js";

/** @throws {import("./api.js").ServerError} */
export async function fillVoices(select, api, chosen) {
  const groups = grouped(await api.voices());
  const own = navigator.languages.map((language) => language.split("-")[0]);
  const rank = (language) => (own.includes(language) ? own.indexOf(language) : own.length);
  const byRank = ([a], [b]) => rank(a) - rank(b) || nameOf(a).localeCompare(nameOf(b));
  for (const [language, voices] of [...groups].sort(byRank)) {
    const options = voices.map(({ name, title }) => element("option", { value: name }, title || name));
    select.append(element("optgroup", { label: nameOf(language) }, ...options));
  }
  select.value = chosen;
  if (select.selectedIndex < 0) select.value = "";
}

const languageOf = ({ language }) => (language || "").split(/[-_]/)[0].toLowerCase();

function nameOf(language) {
  try {
    return new Intl.DisplayNames(navigator.languages, { type: "language" }).of(language);
  } catch {
    return language || "Other";
  }
}

function grouped(voices) {
  const groups = new Map();
  for (const voice of voices) {
    const language = languageOf(voice);
    groups.set(language, [...(groups.get(language) ?? []), voice]);
  }
  return groups;
}
