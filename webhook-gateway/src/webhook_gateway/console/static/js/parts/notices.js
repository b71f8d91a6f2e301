// One line that tells how something went, read out by screen readers when it changes.

import { h } from "./dom.js";

/** A place for one message: `say` for news, `fail` for an ApiError, `clear`. */
export class Notice {
  constructor() {
    this.el = h("p", { class: "notice", role: "status", "aria-live": "polite" });
  }

  say(text) {
    this.el.classList.remove("bad");
    this.el.textContent = text;
  }

  fail(error) {
    this.el.classList.add("bad");
    this.el.textContent = error.hint ? `${error.message} ${sentence(error.hint)}` : error.message;
  }

  clear() {
    this.say("");
  }

  /** Do it, once at a time for a button, and say how it went. Returns whether it did. */
  async during(button, work, done = "") {
    if (button.getAttribute("aria-disabled") === "true") return false;
    // Not `disabled`: that takes the focus from whoever pressed it by the keyboard.
    button.setAttribute("aria-disabled", "true");
    try {
      await work();
      this.say(done);
      return true;
    } catch (error) {
      this.fail(error);
      return false;
    } finally {
      button.removeAttribute("aria-disabled");
    }
  }
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
