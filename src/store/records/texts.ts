/** Names of folders and last of the text itself: what a file of the state directory has as its path. */
export type TextPath = readonly [string, ...string[]]

/** A text that is there, and not read yet. */
export interface StoredText {
  readonly path: TextPath
  /** As `Texts.read`. */
  read(): Promise<string | undefined>
}

/**
 * Where the state's records are kept, each a text under a path, replaced as a whole: files of the state directory, or
 * rows of a database.
 */
export interface Texts {
  /** The path as messages name it. */
  placeOf(path: TextPath): string
  /**
   * Names directly below, of texts and of folders, sorted; none where nothing is there.
   *
   * @throws ERR_STATE_UNSAFE, ERR_INPUT_UNREADABLE
   */
  names(folder: TextPath): Promise<readonly string[]>
  /**
   * The texts so many names below a folder, 1 being those in it. For who reads them all: of a place that is far away
   * many are had at once.
   *
   * @throws ERR_STATE_UNSAFE, ERR_INPUT_UNREADABLE
   */
  below(folder: TextPath, depth: number): AsyncIterable<StoredText>
  /** Undefined where none is there. @throws ERR_INPUT_UNREADABLE, ERR_STATE_UNSAFE, ERR_STATE_INVALID */
  read(path: TextPath): Promise<string | undefined>
  /** Durable when it returns. @throws ERR_STATE_WRITE */
  put(path: TextPath, text: string): Promise<void>
  /** One that is not there is no error. Durable when it returns. @throws ERR_STATE_WRITE */
  remove(path: TextPath): Promise<void>
  /** Makes an empty text that is not there yet. It outlives the process; a power cut may take it. @throws ERR_STATE_WRITE */
  mark(path: TextPath): Promise<void>
  /** Takes a mark away; one that is not there is no error. @throws ERR_STATE_WRITE */
  unmark(path: TextPath): Promise<void>
}
