/** A change that would break a promise, and the test that notices it. */
export interface NamedMutation {
  readonly title: string
  /** Compiled file, under `build/src`. */
  readonly file: string
  /** Text of the compiled file, found there once. */
  readonly before: string
  readonly after: string
  /** Compiled test file, under `build/test`. */
  readonly test: string
  /** Title of the test, whole or a part that no other test has. */
  readonly named: string
}

/** That something written is not made durable, each of them seen by what strace(1) records of a real process. */
const durable = (title: string, file: string, before: string, named: string): NamedMutation => ({
  title: `not made durable: ${title}`,
  file: `store/files/${file}`,
  before,
  after: ";",
  test: "store/files/durability.test.js",
  named,
})

const DURABLE: readonly NamedMutation[] = [
  durable("a file's content", "atomic-file.js", "await sync(file);", "a file that is replaced, in pieces of bytes"),
  durable("a file's name", "atomic-file.js", "await sync(folder);", "a file that is replaced, in pieces of bytes"),
  durable("the custody log's line", "custody-log.js", "await sync(file);", "the custody log's second line"),
  durable(
    "the custody log's name",
    "custody-log.js",
    'await syncFolder(join(path, ".."));',
    "the custody log's first line",
  ),
  durable(
    "a closed log's name, before its lines leave the log",
    "custody-log-rotation.js",
    "await syncFolder(stateDir);",
    "a closed part of the custody log",
  ),
  durable("a new folder", "make-folder.js", "await syncFolder(dirname(path));", "the state directory"),
  durable(
    "a folder of a killed run",
    "json-folder.js",
    "await syncFolder(parent);",
    "a file in a folder that a killed run has made",
  ),
  durable("that a file was removed", "json-folder.js", "await syncFolder(path);", "a file that is removed"),
  durable("an output file's name", "output-file.js", "await syncFolder(dirname(path));", "an output file"),
  durable("a copied file", "state-dir.js", "fsyncSync(file);", "the copy of an older state"),
  durable("a copied folder", "state-dir.js", "await syncFolder(destination);", "the copy of an older state"),
  durable("the folder of a copy", "state-dir.js", "await syncFolder(unfinished);", "the copy of an older state"),
  durable("a copy's name", "state-dir.js", "await syncFolder(stateDir);", "the copy of an older state"),
]

export const NAMED: readonly NamedMutation[] = [
  {
    title: "KMS' offset is ignored",
    file: "host/clock.js",
    before: "(this.#lastOffset ?? 0)",
    after: "0",
    test: "host/clock.test.js",
    named: "is KMS' of each target by itself from its first answer on",
  },
  {
    title: "a target's own offset is ignored",
    file: "host/clock.js",
    before: "(offset() ?? this.#lastOffset ?? 0)",
    after: "(this.#lastOffset ?? 0)",
    test: "host/clock.test.js",
    named: "is KMS' of each target by itself from its first answer on",
  },
  {
    title: "the lock's file is not locked",
    file: "store/files/lock.js",
    before: 'if (!(await lock(this.#file, "exclusive", this.#path)))',
    after: "if (false)",
    test: "store/files/lock.test.js",
    named: "keeps a second taker of the same process out until it is disposed",
  },
  {
    title: "the pin of an import is not compared",
    file: "kms/material.js",
    before: " ?? notPinned(KeyMaterialId, keyMaterialId)",
    after: "",
    test: "kms/answer.test.js",
    named: "refuses other material than was pinned",
  },
  {
    title: "KMS' public key is not compared with the token's",
    file: "app/import/prove.js",
    before: "sha256(theirs) === sha256(evidence.publicKey)",
    after: "true",
    test: "app/import/prove.test.js",
    named: "fails by public-key",
  },
  {
    title: "the account of the first import is not compared",
    file: "app/kms-key/account.js",
    before: "if (other === undefined)",
    after: "if (true)",
    test: "app/provision/provision.test.js",
    named: "takes one source key to a second Region, and to no second account",
  },
  ...DURABLE,
  {
    title: "CreateKey is tried again although a key that hides its tags may be the one",
    file: "app/kms-key/create.js",
    before: "if (hidden !== undefined)",
    after: "if (false)",
    test: "app/provision/provision.test.js",
    named: "makes no second key where CreateKey's answer is lost and the tags",
  },
  {
    title: "a name that was rotated is provisioned with its newest generation alone",
    file: "app/provision/request.js",
    before: "if (source.generation === 0)",
    after: "if (true)",
    test: "app/provision/provision.test.js",
    named: "does not provision a name that was rotated",
  },
  {
    title: "a fleet goes on over state that cannot be written",
    file: "app/fleet/reconcile.js",
    before: "stopped.set(place, error)",
    after: ";",
    test: "app/rewrap/rewrap.test.js",
    named: "begins nothing more once the state cannot be written",
  },
  {
    title: "a fleet presents a PIN again for the next key",
    file: "app/fleet/reconcile.js",
    before: " ?? stopped.get(stopKey(fleetKey))",
    after: "",
    test: "app/rewrap/rewrap.test.js",
    named: "begins nothing more with a token that refused its PIN",
  },
  {
    title: "a fleet goes on without the lock",
    file: "app/fleet/reconcile.js",
    before: "run.stopped.set(EVERYTHING, failure)",
    after: ";",
    test: "app/fleet/lanes.test.js",
    named: "begins nothing more where it does not get the lock again",
  },
  {
    title: "a refused PIN is not noted",
    file: "pkcs11/session/login.js",
    before: "await attempted.refused(",
    after: "void (",
    test: "pkcs11/session/login.test.js",
    named: "once, records it and closes everything",
  },
  {
    title: "the marker of a refused PIN is not written",
    file: "config/pin-provider.js",
    before: "await this.#options.markers.put(withRefused(",
    after: "await (withRefused(",
    test: "config/pin-provider.test.js",
    named: "knows the PIN wherever it comes from",
  },
  {
    title: "an answer without end is read on",
    file: "kms/transport.js",
    before: "if (length > MOST_ANSWER_BYTES)",
    after: "if (false)",
    test: "kms/own-answer.test.js",
    named: "reads nothing, at a body without end",
  },
  {
    title: "the request ID of an answer is not looked at",
    file: "kms/own-answer.js",
    before: 'if (headers["x-amzn-requestid"] === undefined)',
    after: "if (false)",
    test: "kms/own-answer.test.js",
    named: "believes neither an answer nor a refusal without a request ID",
  },
  {
    title: "what was sealed is not compared before its object is destroyed",
    file: "app/custody/same-material.js",
    before: "if (isEqual(resealed.ciphertext, original.ciphertext))",
    after: "if (true)",
    test: "app/custody/seal.test.js",
    named: "is refused where it opens to another key",
  },
  {
    title: "`key lock` is recorded as another custody",
    file: "app/source-key/lock.js",
    before: '{ ...entry, custody: "locked", source: updated }',
    after: '{ ...entry, custody: "sealed", source: updated }',
    test: "app/source-key/lock.test.js",
    named: "while more imports are to come, and done where that was confirmed",
  },
  {
    title: "a source key is destroyed that a KMS key without a record has its material from",
    file: "app/source-key/destroy.js",
    before: "tagged.tags[TAGS.source] === sourceId",
    after: "false",
    test: "app/source-key/destroy.test.js",
    named: "is refused where a KMS key without a record says that its material is from it",
  },
  {
    title: "`rotateEvery` counts from another material's rotation",
    file: "core/plan/check-rotation.js",
    before: "keyRotation.keyMaterialId === key.description.currentKeyMaterialId",
    after: "true",
    test: "core/plan/check-rotation.test.js",
    named: "counts from the rotation to the material in use",
  },
  {
    title: "material that KMS lists no longer counts as imported",
    file: "core/plan/material.js",
    before: "pending || (rotations !== null && keyMaterialId !== null)",
    after: "pending",
    test: "core/plan/check-rotation.test.js",
    named: "is not listed by KMS any more was lost",
  },
]
