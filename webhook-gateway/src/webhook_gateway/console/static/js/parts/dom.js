// Builds and fills elements. Text goes in as text nodes only: nothing that a caller says is ever read as HTML.

/**
 * An element. `props`: attributes by name (true: present, null, undefined or false: absent), and `on`, handlers by event.
 * `children`: nodes or text; null, undefined and false are left out; lists are flattened.
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...present(children));
  return element;
}

/** Put these children in place of all others. */
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
}

/** Text for screen readers only. */
export function unseen(text) {
  return h("span", { class: "unseen" }, text);
}

/** A list of terms with their values; entries without a value are left out. */
export function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { class: "facts" }, known.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

/** The attributes of what may be wider than the page: who has no mouse scrolls it by the keyboard. */
export function scrolled(name) {
  return { class: "wide", tabindex: "0", role: "region", "aria-label": name };
}

let ids = 0;

/** An id that no other element of the page has. */
export function freshId(name) {
  ids += 1;
  return `${name}-${ids}`;
}

/** A labelled form control. */
export function field(label, control) {
  if (!control.id) control.id = freshId("field");
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control);
}

function present(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}
