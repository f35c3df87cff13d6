import type { ExitName } from "./exit-code.js"

/**
 * When a failure is worth trying again: never as it stands, later, or with new import parameters, which an import takes by
 * itself, once (app/import/remedies.ts).
 */
export type Retry = "never" | "later" | "new-parameters"

export interface ErrorRow {
  readonly exit: ExitName
  readonly retry: Retry
  /** What to do, shown after the error; a caller that knows better gives its own. */
  readonly hint: string
}

/**
 * Every failure that keyferry reports by name, and what a row says of it: exit status, whether to try again, and what to
 * do. Code that goes on after a failure asks for its code or its row, never for its message or for what AWS or the token
 * called it.
 */
export const ERROR_ROWS = {
  // command line, configuration, policy
  ERR_USAGE: { exit: "USAGE", retry: "never", hint: "see `keyferry --help` and `keyferry COMMAND --help`" },
  ERR_EXPIRY_INVALID: {
    exit: "USAGE",
    retry: "never",
    hint: "give --expires-in as a duration under 365 days such as 90d or 12h, or `never`",
  },
  ERR_CONFIG_INVALID: {
    exit: "CONFIG",
    retry: "never",
    hint: "correct the file; `keyferry config check` checks it offline, `keyferry config schema` helps editors",
  },
  ERR_POLICY_REFUSED: { exit: "CONFIG", retry: "never", hint: "ask whoever answers for the policy before changing it" },
  ERR_CUSTODY_REFUSED: {
    exit: "CONFIG",
    retry: "never",
    hint: "`keyferry token probe` shows which custody this token honours",
  },
  ERR_NOT_ACKNOWLEDGED: {
    exit: "CONFIG",
    retry: "never",
    hint: "this custody can import only once: give --expires-in never and --accept-no-reimport",
  },
  ERR_CONFIRMATION_MISSING: { exit: "USAGE", retry: "never", hint: "give --yes if that is what you want" },

  // token
  ERR_MODULE_UNUSABLE: {
    exit: "UNAVAILABLE",
    retry: "never",
    hint: "check module-path in the token URI: it must name the vendor's PKCS #11 library for this machine",
  },
  ERR_TOKEN_URI_INVALID: {
    exit: "USAGE",
    retry: "never",
    hint: "a token URI looks like pkcs11:token=LABEL?module-path=/usr/lib/softhsm/libsofthsm2.so (RFC 7512)",
  },
  ERR_TOKEN_NOT_FOUND: {
    exit: "UNAVAILABLE",
    retry: "never",
    hint: "name one of the tokens listed above by token= or serial= in the URI; `keyferry token list` shows them",
  },
  ERR_TOKEN_AMBIGUOUS: {
    exit: "CONFIG",
    retry: "never",
    hint: "add serial= to the token URI so that one token fits",
  },
  ERR_TOKEN_UNINITIALIZED: {
    exit: "UNAVAILABLE",
    retry: "never",
    hint: "initialise the token and its user PIN with the vendor's tool first",
  },
  ERR_TOKEN_PIN_INCORRECT: {
    exit: "NOPERM",
    retry: "never",
    hint: "a further wrong PIN may lock the token: correct the PIN source, or give --retry-pin to present it once more",
  },
  ERR_TOKEN_PIN_REFUSED_BEFORE: {
    exit: "NOPERM",
    retry: "never",
    hint: "correct the PIN source, or give --retry-pin if the PIN is right after all",
  },
  ERR_TOKEN_LOGIN_FAILED: {
    exit: "NOPERM",
    retry: "never",
    hint: "see that the token is well (`keyferry token list`), then give --retry-pin: without it the same PIN is not presented again",
  },
  ERR_TOKEN_PIN_FINAL_TRY: {
    exit: "NOPERM",
    retry: "never",
    hint: "one wrong PIN more locks the token: log in once with the vendor's tool, which resets the counter",
  },
  ERR_TOKEN_PIN_LOCKED: {
    exit: "NOPERM",
    retry: "never",
    hint: "the security officer must unlock the user PIN (C_InitPIN, or the vendor's tool)",
  },
  ERR_TOKEN_PIN_UNUSABLE: {
    exit: "NOPERM",
    retry: "never",
    hint: "set or change the user PIN with the vendor's tool: the token does not take it as it is",
  },
  ERR_PIN_SOURCE: {
    exit: "NOPERM",
    retry: "never",
    hint: "mend that source, or give --pin-source file:PATH, fd:N, env:NAME, exec:COMMAND or prompt: the flag wins over pin of the configuration file, KEYFERRY_PIN_SOURCE does not",
  },
  ERR_TOKEN_UNAVAILABLE: {
    exit: "UNAVAILABLE",
    retry: "later",
    hint: "check that the HSM is reachable: `keyferry doctor`",
  },
  ERR_TOKEN_HANGS: {
    exit: "UNAVAILABLE",
    retry: "later",
    hint: "what was done is recorded, and what the call did is seen by the next run: the same command takes it up again once the token answers; where it is slow only, raise tokens.NAME.callTimeout",
  },
  ERR_TOKEN_FULL: { exit: "UNAVAILABLE", retry: "never", hint: "make room in the token: `keyferry key list`" },
  ERR_TOKEN_WRITE_PROTECTED: {
    exit: "NOPERM",
    retry: "never",
    hint: "give the PIN of a role that may write (--pin-source), or lift the write protection with the vendor's tool; --custody session needs no write, nor do wrap, rewrap, `keyferry key list` and status",
  },
  ERR_TOKEN_OTHER: {
    exit: "UNAVAILABLE",
    retry: "never",
    hint: "the token refused; see the PKCS #11 call and value below and run `keyferry doctor`",
  },
  ERR_KEY_SPEC_UNSUPPORTED: {
    exit: "DATAERR",
    retry: "never",
    hint: "`keyferry token probe` shows what this token can carry",
  },
  ERR_NO_USABLE_ALGORITHM: {
    exit: "DATAERR",
    retry: "never",
    hint: "`keyferry token probe` shows what this token can carry; another token or key spec may do",
  },
  ERR_ALGORITHM_NOT_ALLOWED: {
    exit: "DATAERR",
    retry: "never",
    hint: "give --wrapping-algorithm auto, or one that KMS allows for this key spec and wrapping key spec",
  },
  ERR_KEY_NOT_FOUND: {
    exit: "DATAERR",
    retry: "never",
    hint: "`keyferry key list` shows the source keys of the token",
  },
  ERR_KEY_AMBIGUOUS: {
    exit: "DATAERR",
    retry: "never",
    hint: "two objects claim one identity: look with `keyferry key list` and remove the wrong one with the vendor's tool",
  },
  ERR_NAME_TAKEN: {
    exit: "DATAERR",
    retry: "never",
    hint: "choose another --name; `keyferry key list` shows those in use",
  },
  ERR_KEY_IN_USE: {
    exit: "DATAERR",
    retry: "never",
    hint: "end the KMS key first: `keyferry schedule-deletion`; the source key may go once KMS has deleted it",
  },
  ERR_KEY_USED: {
    exit: "DATAERR",
    retry: "never",
    hint: "find out who uses it (CloudTrail); if it may go all the same, give --although-used as well, or another --idle-for",
  },
  ERR_LAST_COPY: {
    exit: "DATAERR",
    retry: "never",
    hint: "what would be lost has no other copy: give --lose-last-copy as well if that is what you want",
  },
  ERR_KEY_NOT_EXTRACTABLE: {
    exit: "DATAERR",
    retry: "never",
    hint: "CKA_EXTRACTABLE is one-way: generate a new source key",
  },
  ERR_CUSTODY_KEY_MISSING: {
    exit: "DATAERR",
    retry: "never",
    hint: "restore the custody key from the token's backup: without it no sealed key can be imported again",
  },
  ERR_SEALED_UNREADABLE: {
    exit: "DATAERR",
    retry: "never",
    hint: "restore the vault file or the token from a backup; `keyferry doctor` names every key that is touched",
  },
  ERR_SHORT_SCALAR: {
    exit: "DATAERR",
    retry: "never",
    hint: "`keyferry replace NAME` makes a new key, with material that this token gives back as it is; or restore the token that sealed it, or take the risk with policy.allowShortScalars: true",
  },
  ERR_KEY_ATTRIBUTES: {
    exit: "DATAERR",
    retry: "never",
    hint: "the token did not give the key the attributes it was asked for; the key was destroyed",
  },
  ERR_WRAP_RESULT: {
    exit: "DATAERR",
    retry: "never",
    hint: "the token's result cannot be right; run `keyferry token probe --fresh` and report what it says",
  },

  // files
  ERR_WRAPPING_KEY_INVALID: {
    exit: "DATAERR",
    retry: "never",
    hint: "fetch the wrapping public key from KMS again, over a path you trust",
  },
  ERR_FINGERPRINT_MISMATCH: {
    exit: "DATAERR",
    retry: "never",
    hint: "do not go on: compare with the fingerprint that `keyferry params` printed on the online host",
  },
  ERR_TRANSFER_INVALID: {
    exit: "DATAERR",
    retry: "never",
    hint: "the file is damaged or not what the option takes; fetch or write it again",
  },
  ERR_INPUT_UNREADABLE: { exit: "DATAERR", retry: "never", hint: "check the path and its permissions" },
  ERR_OUTPUT_EXISTS: {
    exit: "CANTCREAT",
    retry: "never",
    hint: "keyferry overwrites nothing: move the file, or name another",
  },
  ERR_OUTPUT_WRITE: { exit: "IOERR", retry: "never", hint: "check the folder, its permissions and the space left" },
  ERR_STATE_WRITE: {
    exit: "IOERR",
    retry: "never",
    hint: "check --state-dir (KEYFERRY_STATE_DIR), its permissions and the space left",
  },
  ERR_STATE_INVALID: {
    exit: "DATAERR",
    retry: "never",
    hint: "the file was changed or damaged: restore it from a backup, or move it away and run again",
  },
  ERR_STATE_VERSION: {
    exit: "DATAERR",
    retry: "never",
    hint: "use the keyferry that wrote it, or a later one; or name another --state-dir",
  },
  ERR_STATE_UNSAFE: {
    exit: "NOPERM",
    retry: "never",
    hint: "let keyferry's user alone write the state directory: `keyferry doctor` lists what others can write",
  },
  ERR_STATE_NOT_EMPTY: {
    exit: "CONFIG",
    retry: "never",
    hint: "import into another --state-dir, which is empty; `keyferry state merge DIR` then joins that one to this",
  },
  ERR_STATE_ARCHIVE_INVALID: {
    exit: "DATAERR",
    retry: "never",
    hint: "nothing was written: take another export, or fetch this one again",
  },
  ERR_ADDON_MISSING: {
    exit: "UNAVAILABLE",
    retry: "never",
    hint: "install python3, make and a C++ compiler (Debian: `apt install python3 make g++`), then npm's package keyferry again, with its install scripts allowed; or take the Debian package or the archive, which have it compiled: docs/install.md",
  },
  ERR_STATE_LOCK_UNUSABLE: {
    exit: "CONFIG",
    retry: "never",
    hint: "put the state directory on a file system whose locks the kernel keeps: ext4, xfs, btrfs, tmpfs, or NFS with locks",
  },
  ERR_STATE_INCOMPLETE: {
    exit: "DATAERR",
    retry: "never",
    hint: "`keyferry status --rebuild` takes it in from KMS, token and vault, or `keyferry state merge DIR` from a copy of the state that knows it; if it is somebody else's, give another name, or another `id` in the configuration",
  },
  ERR_VAULT_DAMAGED: {
    exit: "DATAERR",
    retry: "never",
    hint: "restore the vault file from a backup; until then that key material cannot be imported again",
  },
  ERR_STATE_LOCKED: {
    exit: "TEMPFAIL",
    retry: "later",
    hint: "wait for that process to end, or use another --state-dir",
  },
  ERR_KEY_HELD: {
    exit: "TEMPFAIL",
    retry: "later",
    hint: "another process works on this key at this moment: run it again when that has ended",
  },
  ERR_BINDING_LOST: {
    exit: "TEMPFAIL",
    retry: "later",
    hint: "this process was stopped, or cut off from the database, for too long: what it did is recorded; run it again, which goes on from there",
  },
  ERR_DATABASE_SETTING: {
    exit: "CONFIG",
    retry: "never",
    hint: "correct state.postgres in the configuration file, or KEYFERRY_STATE_URL; docs/configuration.md has both",
  },
  ERR_DATABASE_UNREACHABLE: {
    exit: "TEMPFAIL",
    retry: "later",
    hint: "see that PostgreSQL runs there and that this host reaches it, and run it again",
  },
  ERR_DATABASE_REFUSED: {
    exit: "NOPERM",
    retry: "never",
    hint: "check user, password file, certificates and grants; `keyferry policy postgres --role ROLE` prints the grants",
  },

  // KMS
  ERR_KMS_REGION_MISSING: { exit: "CONFIG", retry: "never", hint: "give --region, or set AWS_REGION" },
  ERR_KMS_REGION_INVALID: {
    exit: "CONFIG",
    retry: "never",
    hint: "a Region is named like eu-west-3: correct it, or give --region",
  },
  ERR_KMS_PROFILE_UNKNOWN: {
    exit: "CONFIG",
    retry: "never",
    hint: "name a profile of ~/.aws/config or ~/.aws/credentials (AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE)",
  },
  ERR_KMS_SETTING: {
    exit: "CONFIG",
    retry: "never",
    hint: "correct the setting that is named above, or unset it",
  },
  ERR_KMS_ENDPOINT_REFUSED: {
    exit: "CONFIG",
    retry: "never",
    hint: "nothing but TLS vouches for the wrapping key: use https, or plain http to loopback only",
  },
  ERR_KMS_CREDENTIALS: {
    exit: "NOPERM",
    retry: "never",
    hint: "give AWS credentials by --profile, the environment, or the machine's role; `keyferry doctor` checks them",
  },
  ERR_KMS_ACCESS_DENIED: {
    exit: "NOPERM",
    retry: "never",
    hint: "allow the operation below in the IAM policy and in the key policy",
  },
  ERR_KMS_UNREACHABLE: {
    exit: "UNAVAILABLE",
    retry: "later",
    hint: "check network, proxy (HTTPS_PROXY, NO_PROXY) and endpoint: `keyferry doctor`",
  },
  ERR_KMS_UNAVAILABLE: {
    exit: "TEMPFAIL",
    retry: "later",
    hint: "KMS had a passing fault: run the same command again",
  },
  ERR_KMS_THROTTLED: {
    exit: "TEMPFAIL",
    retry: "later",
    hint: "the account's request quota is used up: run the same command again",
  },
  ERR_KMS_LIMIT: {
    exit: "UNAVAILABLE",
    retry: "never",
    hint: "a resource quota of the account is reached; see Service Quotas",
  },
  ERR_KMS_OUTCOME_UNKNOWN: {
    exit: "TEMPFAIL",
    retry: "later",
    hint: "the answer of KMS was lost: run the same command again, which finds out before it makes anything",
  },
  ERR_KMS_KEY_NOT_FOUND: {
    exit: "DATAERR",
    retry: "never",
    hint: "is this the right account and Region? `keyferry doctor` says whose the credentials are; check --key-id, --region and --profile",
  },
  ERR_KMS_KEY_ORIGIN: {
    exit: "DATAERR",
    retry: "never",
    hint: "only a KMS key with Origin EXTERNAL takes imported material; leave --key-id out to have one made",
  },
  ERR_KMS_KEY_STATE: {
    exit: "DATAERR",
    retry: "never",
    hint: "bring the KMS key into a state that allows it (enable it, or cancel its deletion) or name another",
  },
  ERR_KMS_KEY_MISMATCH: {
    exit: "DATAERR",
    retry: "never",
    hint: "the KMS key is not of the kind asked for: name another --key-id or change the flags",
  },
  ERR_ROTATION_UNSUPPORTED: {
    exit: "DATAERR",
    retry: "never",
    hint: "make a new KMS key in its place, with new key material and the same alias: keyferry replace",
  },
  ERR_REPLICA_REFUSED: {
    exit: "DATAERR",
    retry: "never",
    hint: "replicas are for multi-Region keys (provision --multi-region) whose custody can import again",
  },
  ERR_ROTATION_PENDING: {
    exit: "TEMPFAIL",
    retry: "later",
    hint: "KMS rotates by itself and takes some minutes: run the same command again, which goes on from there",
  },
  ERR_KMS_ALIAS: { exit: "DATAERR", retry: "never", hint: "name the key by its ID or ARN" },
  ERR_KMS_ALIAS_TAKEN: {
    exit: "DATAERR",
    retry: "never",
    hint: "choose another --alias, or name that key with --key-id",
  },
  ERR_KMS_REPLICA_EXISTS: {
    exit: "DATAERR",
    retry: "never",
    hint: "look at it with `aws kms describe-key` in its Region: keyferry takes a replica over only if its tags say so",
  },
  ERR_KMS_IMPORT_TOKEN: {
    exit: "DATAERR",
    retry: "new-parameters",
    hint: "import token and wrapping key must come from one GetParametersForImport call for this very key: fetch both again",
  },
  ERR_IMPORT_TOKEN_EXPIRED: {
    exit: "TEMPFAIL",
    retry: "new-parameters",
    hint: "import parameters are valid for 24 hours: fetch new ones and wrap again",
  },
  ERR_KMS_CIPHERTEXT: {
    exit: "DATAERR",
    retry: "new-parameters",
    hint: "KMS could not unwrap it or did not like what was inside: wrap again under fresh parameters with the same algorithm",
  },
  ERR_KMS_KEY_MATERIAL: {
    exit: "DATAERR",
    retry: "never",
    hint: "this KMS key is bound to other key material for ever: import the source key that its tag keyferry:source names, from the token or backup that has it; deleting its material changes nothing",
  },
  ERR_KMS_REFUSED: { exit: "DATAERR", retry: "never", hint: "KMS refused the request; see its words below" },
  ERR_KMS_ANSWER: {
    exit: "UNAVAILABLE",
    retry: "never",
    hint: "what answers is not AWS KMS, or not what was asked: check --endpoint-url, and proxies on the way",
  },
  ERR_KMS_OTHER: {
    exit: "UNAVAILABLE",
    retry: "never",
    hint: "KMS answered an error that keyferry does not know; see below",
  },
  ERR_PROOF_FAILED: {
    exit: "PROOF",
    retry: "never",
    hint: "do not use this KMS key: KMS does not hold the key material of the token",
  },

  // everything else
  ERR_BUG: {
    exit: "SOFTWARE",
    retry: "never",
    hint: "this is a bug of keyferry: please report it with the lines above",
  },
} as const satisfies Record<string, ErrorRow>
