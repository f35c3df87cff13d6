/** The system calls that Node.js has no words for, made through koffi, which is loaded when the first one is made. */

/** The C library of this process. */
interface Libc {
  /** setrlimit(2): 0, or -1. */
  readonly setrlimit: (resource: number, limits: readonly bigint[]) => number
}

/** RLIMIT_CORE of Linux, macOS and the BSDs alike. */
const RLIMIT_CORE = 4

let loaded: Promise<Libc> | undefined

/** @throws what koffi throws where it has no binary for this platform, or npm left it out (`--omit=optional`) */
function libc(): Promise<Libc> {
  return (loaded ??= load())
}

async function load(): Promise<Libc> {
  const { default: koffi } = await import("koffi")
  // without a name it is what this process has loaded already: glibc, musl or the BSDs', wherever its file is
  const library = koffi.load(null)
  return {
    setrlimit: library.func("int setrlimit(int, const ulong *)") as Libc["setrlimit"],
  }
}

/**
 * Sets the greatest size of a core file to 0 for this process and its children, for good: the hard limit too.
 *
 * @returns whether the kernel did it
 * @throws where koffi cannot be loaded
 */
export async function noCoreFiles(): Promise<boolean> {
  const { setrlimit } = await libc()
  return setrlimit(RLIMIT_CORE, [0n, 0n]) === 0
}
