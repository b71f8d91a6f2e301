// What a call used of its providers, and what that cost where prices are set.

import { h, scrolled } from "./dom.js";
import { words } from "./format.js";

const AMOUNT = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const COLUMNS = ["For", "Provider", "Model", "Amount", "Unit", "Source"];

/** A section for the record's `costs`; nothing for records that have none. */
export function costs(found) {
  if (!found) return null;
  const { usage = [], requests_unknown: unknown = 0, amount = null, currency = null } = found;
  const money = amount === null ? null : h("p", {}, "Cost by the prices that are set: ", h("strong", {}, price(amount, currency)));
  return h("section", { class: "card", "aria-label": "Usage and costs" }, h("h2", {}, "Usage and costs"),
    money,
    usage.length ? table(usage) : h("p", { class: "empty" }, "No provider told of any usage."),
    unknown ? h("p", { class: "hint" }, `${unknown} ${unknown === 1 ? "request" : "requests"} of which no usage is known.`) : null);
}

function table(usage) {
  const rows = usage.map((used) => [
    used.seam.toUpperCase(), used.provider, used.model || "", AMOUNT.format(used.amount), words(used.unit),
    used.told ? "told by the provider" : "measured here",
  ]);
  return h("div", scrolled("Usage"), h("table", {},
    h("thead", {}, h("tr", {}, COLUMNS.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell, at) => h("td", { "data-name": COLUMNS[at] }, cell)))))));
}

/** Small amounts with as many digits as say something. */
function price(amount, currency) {
  const digits = { minimumFractionDigits: 2, maximumFractionDigits: amount < 1 ? 5 : 2 };
  try {
    return new Intl.NumberFormat(undefined, { ...(currency ? { style: "currency", currency } : {}), ...digits }).format(amount);
  } catch {
    return `${new Intl.NumberFormat(undefined, digits).format(amount)} ${currency}`;
  }
}
