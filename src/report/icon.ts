/** A key's bow and bit over water, as an SVG file. */
export const ICON =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path fill="none" stroke="#0969da" stroke-width="4" ' +
  'd="M4 12a5 5 0 1 1 10 0a5 5 0 1 1-10 0M14 12h14v6M22 12v5M2 27q5-5 10 0t10 0t8-1"/></svg>'
