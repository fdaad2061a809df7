"use strict";
(() => {
  const main = document.getElementById("rows");
  const sheet = main.dataset.sheet;
  const rows = [...main.querySelectorAll("fieldset")];
  const answers = new Map();
  const place = `synth-mlflow-review-${sheet}`;
  const keys = { r: "real", s: "synthetic", c: "cannot say" };

  const saved = () => {
    try {
      return JSON.parse(localStorage.getItem(place) || "[]");
    } catch {
      return []; // no storage for this page: answers last as long as it is open
    }
  };

  const save = () => {
    try {
      localStorage.setItem(place, JSON.stringify([...answers]));
    } catch {
      // as above
    }
  };

  const tell = () => {
    document.getElementById("state").textContent = `${answers.size} of ${rows.length} rows are answered`;
    document.getElementById("progress").value = answers.size;
  };

  const note = (row, answer) => {
    answers.set(Number(row.dataset.row), answer);
    row.classList.add("answered");
  };

  const inputOf = (row, answer) => [...row.querySelectorAll("input")].find((each) => each.value === answer);

  const current = () => {
    const focused = document.activeElement.closest("fieldset");
    return focused || rows.find((row) => !answers.has(Number(row.dataset.row))) || rows[rows.length - 1];
  };

  const goTo = (row) => {
    if (!row) return;
    (row.querySelector("input:checked") || row.querySelector("input")).focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  };

  const neighbour = (row, step) => rows[rows.indexOf(row) + step];

  main.addEventListener("change", (event) => {
    note(event.target.closest("fieldset"), event.target.value);
    save();
    tell();
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (key in keys) {
      const row = current();
      inputOf(row, keys[key]).checked = true;
      note(row, keys[key]);
      save();
      tell();
      goTo(neighbour(row, 1) || row);
    } else if (key === "n" || key === "p") {
      goTo(neighbour(current(), key === "n" ? 1 : -1));
    } else {
      return;
    }
    event.preventDefault();
  });

  document.getElementById("download").addEventListener("click", () => {
    const left = rows.filter((row) => !answers.has(Number(row.dataset.row)));
    if (left.length) {
      document.getElementById("state").textContent =
        `${left.length} of ${rows.length} rows have no answer yet; the first is row ${left[0].dataset.row}`;
      goTo(left[0]);
      return;
    }
    const lines = rows.map((row) => `${sheet},${row.dataset.row},${answers.get(Number(row.dataset.row))}`);
    const link = document.createElement("a");
    const text = ["sheet,row,answer", ...lines, ""].join("\n");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = `answers-${sheet}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    document.getElementById("state").textContent = `Downloaded ${link.download}: hand it to whoever gave you this page`;
  });

  for (const [number, answer] of saved()) {
    const row = rows[number - 1];
    const input = row && inputOf(row, answer);
    if (input) {
      input.checked = true;
      note(row, answer);
    }
  }
  tell();
})();
