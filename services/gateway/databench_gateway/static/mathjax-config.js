/* Which math MathJax typesets: \( \) in a line, \[ \] and $$ $$ on its own; a single dollar is money. */
window.MathJax = {
  tex: {
    inlineMath: [['\\(', '\\)']],
    displayMath: [['\\[', '\\]'], ['$$', '$$']],
  },
  options: { enableMenu: false },
};
