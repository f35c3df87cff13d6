/** What no shell takes for anything but itself, at the beginning of a word and within it. */
const PLAIN = /^[A-Za-z0-9_@%+:,./][A-Za-z0-9_@%+=:,./-]*$/

/** The text as one word of a POSIX shell, whatever it holds: everything that is printed to be typed goes through this. */
export function shellWord(text: string): string {
  return PLAIN.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`
}

/** The same for a path, which no command is to take for one of its options. */
export function shellPath(path: string): string {
  return shellWord(path.startsWith("-") ? `./${path}` : path)
}
