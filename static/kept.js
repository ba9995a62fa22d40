// What a form sends is kept in this tab until the site has answered. If the site asks for a login instead, the text
// would be gone. After the login, the page offers to send it again.
"use strict";
(() => {
  const NAME = "kept-form";
  const MAIN = "main, [role=main]";
  const TOO_MUCH = 413;
  const isLogin = () => Boolean(document.getElementById("login-form"));
  const user = () => document.querySelector("[data-user]")?.dataset.user ?? "";
  const here = withoutHash(location.href);

  function withoutHash(address) {
    return address.split("#")[0];
  }

  function read() {
    try {
      return JSON.parse(sessionStorage.getItem(NAME));
    } catch {
      return null;
    }
  }

  function write(kept) {
    try {
      sessionStorage.setItem(NAME, JSON.stringify(kept));
    } catch {
      // It is too long for the tab's storage, or the browser has none.
      sessionStorage.removeItem(NAME);
    }
  }

  function keep(event) {
    const form = event.target;
    // A field may be called "action" or "method", so the attributes are read.
    const isPost = form.getAttribute("method")?.toLowerCase() === "post";
    if (event.defaultPrevented || isLogin() || !isPost || !form.closest(MAIN)) return;
    const typed = [...new FormData(form, event.submitter)];
    const fields = typed.filter(([name, value]) => typeof value === "string" && name !== "csrfmiddlewaretoken");
    const action = withoutHash(new URL(form.getAttribute("action") || "", here).href);
    write({ user: user(), action, fields, isAsked: false });
  }

  function element(name, properties, ...parts) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...parts);
    return made;
  }

  function token() {
    const headers = document.body.getAttribute("hx-headers");
    return headers ? JSON.parse(headers)["x-csrftoken"] : document.getElementsByName("csrfmiddlewaretoken")[0]?.value;
  }

  function offer(kept) {
    const hidden = [["csrfmiddlewaretoken", token()], ...kept.fields].map(([name, value]) =>
      element("input", { type: "hidden", name, value }));
    const drop = element("button", { type: "button", className: "second" }, "Drop it");
    const card = element("form", { className: "kept" },
      element("h2", { tabIndex: -1 }, "You were logged out before this was saved"),
      element("p", {}, "What you typed is kept in this window. Nothing of it is saved yet."),
      element("p", {}, element("button", {}, "Send what I typed"), " ", drop),
      ...hidden);
    card.setAttribute("method", "post");
    card.setAttribute("action", kept.action);
    card.setAttribute("enctype", "multipart/form-data");
    drop.addEventListener("click", () => {
      sessionStorage.removeItem(NAME);
      card.remove();
    });
    document.querySelector(MAIN).prepend(card);
    card.firstChild.focus();
  }

  function showLongest(kept, place) {
    const [, text] = kept.fields.reduce((one, other) => (other[1].length > one[1].length ? other : one));
    const field = element("textarea", { id: "longest", readOnly: true, rows: 10, value: text });
    place.append(element("label", { htmlFor: "longest" }, "The longest text of the form, to be copied"), field);
  }

  function start() {
    const kept = read();
    if (!kept) return;
    const place = document.querySelector("[data-too-much]");
    if (place && kept.user === user() && kept.fields.length) showLongest(kept, place);
    const wasRefused = kept.isAsked || Boolean(document.querySelector("[data-not-saved]"));
    if (isLogin()) write({ ...kept, isAsked: true });
    else if (kept.user !== user() || !wasRefused) sessionStorage.removeItem(NAME);
    else if (kept.action === here) offer(kept);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
  document.addEventListener("submit", keep);

  // A part of the page is asked for in the background. The page of the login, or one that says that too much was
  // sent, must not take its place.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { responseURL, responseText, status } = event.detail.xhr;
    const isLoggedOut = responseURL && new URL(responseURL).pathname.endsWith("/login/");
    if (!isLoggedOut && status !== TOO_MUCH) return;
    event.detail.shouldSwap = false;
    document.querySelector("[role=alert].kept")?.remove();
    if (document.querySelector(".kept")) return;
    const why = isLoggedOut
      ? ["You were logged out, so nothing is saved now. What you typed is still on this page. ",
        element("a", { href: new URL(responseURL).pathname, target: "_blank" }, "Log in in another window"),
        ", then go on here."]
      : [`${responseText} Nothing is saved until it is shorter. What you typed is still on this page.`];
    const card = element("div", { className: "kept" }, element("p", {}, ...why));
    card.setAttribute("role", "alert");
    document.querySelector(MAIN).prepend(card);
  });
})();
