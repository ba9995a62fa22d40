// Ask the server for sentence, count and faults of what is on the screen. The newest request counts.
const PAUSE = 300;
const BUSY_PAUSE = 500;
const FAILED =
  "The count could not be read. Perhaps you were logged out. What you typed is still on this page.";
// The server reads no larger request, and its answer would be a page without what was typed.
export const MOST_CHARACTERS = 2_000_000;
export const TOO_LONG = "The text of the rule is too long to be sent. Make it shorter.";

export function isTooLong(form) {
  const areas = [...form.querySelectorAll("textarea")];
  return areas.reduce((sum, area) => sum + area.value.length, 0) > MOST_CHARACTERS;
}

export function makeCounter({ form, url, onAnswer, onFailure, body = () => new FormData(form) }) {
  let timer;
  let running;

  async function ask() {
    running?.abort();
    if (isTooLong(form)) {
      onFailure(TOO_LONG);
      return;
    }
    const mine = (running = new AbortController());
    try {
      const response = await fetch(url, {
        body: body(),
        headers: { Accept: "application/json" },
        method: "POST",
        redirect: "error",
        signal: mine.signal,
      });
      if (!response.ok) throw new Error(response.statusText);
      const answer = await response.json();
      if (mine !== running) return;
      // The server still counts an older request of this person, and never two at once.
      if (answer.busy) later(BUSY_PAUSE);
      else onAnswer(answer);
    } catch (error) {
      if (error.name !== "AbortError" && mine === running) onFailure(FAILED);
    }
  }

  function later(pause = PAUSE) {
    clearTimeout(timer);
    timer = setTimeout(ask, pause);
  }

  return { later, now: () => later(0) };
}
