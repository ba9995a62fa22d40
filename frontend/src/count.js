// Ask the server for sentence, count and faults of what is on the screen. The newest request counts.
const PAUSE = 300;
const BUSY_PAUSE = 500;
const FAILED = "The count could not be read. It is tried again at the next change.";

export function makeCounter({ form, url, onAnswer, onFailure }) {
  let timer;
  let running;

  async function ask() {
    running?.abort();
    const mine = (running = new AbortController());
    try {
      const response = await fetch(url, {
        body: new FormData(form),
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
