/** The system calls that Node.js has no words for, made through koffi, which is loaded when the first one is made. */

/** The C library of this process, and what it said went wrong. Each call gives 0, or -1. */
interface Libc {
  readonly setrlimit: (resource: number, limits: readonly bigint[]) => number
  readonly _exit: (status: number) => void
  readonly flock: (file: number, operation: number) => number
  readonly socket: (domain: number, type: number, protocol: number) => number
  readonly sendto: (
    socket: number,
    text: Buffer,
    length: number,
    flags: number,
    address: Buffer,
    addressLength: number,
  ) => number
  readonly close: (file: number) => number
  /** glibc's alone. */
  readonly malloc_trim: ((pad: number) => number) | null
  /** Name of the last call's errno: `EWOULDBLOCK` is `EAGAIN`. */
  readonly errorName: () => string
}

/** RLIMIT_CORE of Linux, macOS and the BSDs alike, as are the operations of flock(2). */
const RLIMIT_CORE = 4
const LOCK = { shared: 1, exclusive: 2 } as const
const LOCK_NB = 4
const LOCK_UN = 8

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
    _exit: library.func("void _exit(int)") as Libc["_exit"],
    socket: library.func("int socket(int, int, int)") as Libc["socket"],
    sendto: library.func("long sendto(int, const void *, size_t, int, const void *, unsigned int)") as Libc["sendto"],
    close: library.func("int close(int)") as Libc["close"],
    flock: library.func("int flock(int, int)") as Libc["flock"],
    malloc_trim: optional(() => library.func("int malloc_trim(size_t)") as (pad: number) => number),
    errorName() {
      const number = koffi.errno()
      const [name] = Object.entries(koffi.os.errno).find(([, value]) => value === number) ?? []
      return name ?? `errno ${number}`
    },
  }
}

/** A function that not every C library has. */
function optional<Function>(find: () => Function): Function | null {
  try {
    return find()
  } catch {
    return null
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

/**
 * Takes the lock of an open file, flock(2), and does not wait for it. It belongs to this opening of the file: the kernel
 * gives it back when that is closed, in whatever way its process ends. Node.js opens files close-on-exec, so no child
 * has it.
 *
 * @returns false where another opening holds it, of this process or of any other
 * @throws an error with the errno's name as its `code`; where koffi cannot be loaded, koffi's
 */
export async function lockFile(file: number, kind: keyof typeof LOCK): Promise<boolean> {
  const { flock, errorName } = await libc()
  if (flock(file, LOCK[kind] | LOCK_NB) === 0) return true
  const code = errorName()
  if (code === "EAGAIN" || code === "EWOULDBLOCK") return false
  throw Object.assign(new Error(`${code}: flock`), { code, syscall: "flock" })
}

/**
 * Ends the process, _exit(2): `process.exit` waits for calls that run in libuv's threads, however long they hang. The
 * kernel gives locks back.
 *
 * @throws where koffi cannot be loaded
 */
export async function exitAtOnce(status: number): Promise<void> {
  const { _exit } = await libc()
  _exit(status)
}

/** Gives the kernel what the C library keeps for later, malloc_trim(3); nothing where it has no such function. */
export async function trimMemory(): Promise<void> {
  const { malloc_trim: trim } = await libc()
  trim?.(0)
}

/** Gives the lock back. */
export async function unlockFile(file: number): Promise<void> {
  const { flock } = await libc()
  flock(file, LOCK_UN)
}

const AF_UNIX = 1
/** Of a name in the file system, with its zero byte: sun_path of sockaddr_un. */
const LONGEST_NAME = 108
/** SOCK_DGRAM, and SOCK_CLOEXEC of Linux. */
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000

/**
 * Sends a datagram to a Unix socket, sendto(2), which node:dgram cannot.
 *
 * @param path in the file system; one that begins with `@` is in Linux' abstract namespace
 * @throws an error with the errno's name as its `code`; where koffi cannot be loaded, koffi's
 */
export async function sendDatagram(path: string, text: string): Promise<void> {
  const name = Buffer.from(path.startsWith("@") ? `\0${path.slice(1)}` : `${path}\0`, "utf8")
  if (name.length > LONGEST_NAME) throw Object.assign(new Error("ENAMETOOLONG: sendto"), { code: "ENAMETOOLONG" })
  const { socket, sendto, close, errorName } = await libc()
  const file = socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0)
  if (file === -1) throw failed(errorName(), "socket")
  try {
    const family = Buffer.alloc(2)
    // in the machine's own order
    new Uint16Array(family.buffer, family.byteOffset, 1)[0] = AF_UNIX
    const [address, bytes] = [Buffer.concat([family, name]), Buffer.from(text, "utf8")]
    if (sendto(file, bytes, bytes.length, 0, address, address.length) === -1) throw failed(errorName(), "sendto")
  } finally {
    close(file)
  }
}

const failed = (code: string, syscall: string): Error =>
  Object.assign(new Error(`${code}: ${syscall}`), { code, syscall })
