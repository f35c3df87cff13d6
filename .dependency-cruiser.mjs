/** The layering rules of the source tree. Each comment says what to do when the rule fires. */
const layer = (name, comment, from, to) => ({ name, comment, severity: "error", from, to })

/** Folders of one part of the tree, in order: each may import those before it in the list, and no later one. */
const inOrder = (part, folders) =>
  folders
    .slice(0, -1)
    .map((folder, index) =>
      layer(
        `${part}-${folder}-is-below`,
        `the folders of ${part} go one way (${folders.join(" <- ")}): move what both need to the lower one`,
        { path: `^src/${part}/${folder}/` },
        { path: `^src/${part}/(${folders.slice(index + 1).join("|")})(/|\\.ts$)` },
      ),
    )

export default {
  forbidden: [
    layer(
      "core-is-pure",
      "core decides and describes; move the I/O to an edge folder and pass its result in",
      { path: "^src/core/" },
      { pathNot: ["^src/core/", "^crypto$", "^node:crypto$"] },
    ),
    layer(
      "app-sees-core-only",
      "a use case takes ports from core/ports/; let host/ hand in the implementation",
      { path: "^src/app/" },
      { pathNot: ["^src/(core|app)/", "^crypto$", "^node:crypto$"] },
    ),
    layer(
      "pkcs11-packages-stay-inside",
      "add an operation to the Token port instead of calling PKCS #11 from here",
      { pathNot: "^src/pkcs11/" },
      { path: "node_modules/(pkcs11js|graphene-pk11)/" },
    ),
    layer(
      "koffi-stays-below",
      "add a system call to libc/libc.ts instead of calling through koffi from here",
      { pathNot: "^src/(pkcs11|libc)/" },
      { path: "node_modules/koffi/" },
    ),
    layer(
      "libc-imports-nothing",
      "libc/ has the system calls alone",
      { path: "^src/libc/" },
      { path: "^src/", pathNot: "^src/libc/" },
    ),
    layer(
      "aws-packages-stay-inside",
      "add an operation to the Kms port instead of calling the SDK from here",
      { pathNot: "^src/kms/" },
      { path: "node_modules/(@aws-sdk|@smithy)/" },
    ),
    layer(
      "pg-boss-stays-in-jobs",
      "ask for work through jobs/jobs.ts; what a job does belongs to app/ and agent/",
      { pathNot: "^src/jobs/" },
      { path: "node_modules/pg-boss/" },
    ),
    layer(
      "yargs-stays-in-cli",
      "a command is described by defineCommand in cli/command.ts",
      { pathNot: "^src/cli/" },
      { path: "node_modules/yargs/" },
    ),
    layer(
      "local-kms-stands-apart",
      "the local KMS must not share code with the wrapping side, or a mistake in one hides in the other",
      { path: "^src/local-kms/" },
      { path: "^src/", pathNot: ["^src/local-kms/", "^src/libc/", "^src/core/key/(key-spec|key-arn)\\.ts$"] },
    ),
    layer(
      "only-its-command-imports-local-kms",
      "talk to the local KMS over HTTP",
      { path: "^src/", pathNot: ["^src/local-kms/", "^src/cli/commands/local-kms\\.ts$"] },
      { path: "^src/local-kms/" },
    ),
    layer(
      "edges-do-not-know-each-other",
      "an adapter sees core only; join adapters in host/",
      { path: "^src/(pkcs11|kms|store|config|log|jobs)/" },
      { path: "^src/(pkcs11|kms|store|config|log|jobs|cli|app)/", pathNot: "^src/$1/" },
    ),
    layer(
      "report-only-renders",
      "a page is made of what it is given: let agent/ or a command hand it in",
      { path: "^src/report/" },
      { path: "^src/", pathNot: "^src/(report|core|app)/" },
    ),
    layer(
      "agent-is-no-command",
      "what both need belongs to host/ or app/",
      { path: "^src/(agent|report|host|app)/" },
      { path: "^src/cli/" },
    ),
    layer(
      "input-stands-alone",
      "src/input reads bytes and says what they are; what they mean is for who asked",
      { path: "^src/input/" },
      { path: "^src/", pathNot: "^src/input/" },
    ),
    ...inOrder("core", ["base", "key", "token", "manifest", "records", "ports", "plan"]),
    ...inOrder("pkcs11", ["cryptoki", "session", "objects", "wrap", "probe", "token"]),
    ...inOrder("local-kms", ["protocol", "state", "crypto", "operations", "server"]),
    layer("no-cycles", "break the cycle: move what both need into a third file", {}, { circular: true }),
    {
      ...layer(
        "no-cycles-of-use-cases",
        "break the cycle of folders: move what both need to the folder that its word belongs to",
        { path: "^src/app/" },
        { circular: true },
      ),
      scope: "folder",
    },
    layer("no-orphans", "delete the file or use it", { orphan: true, pathNot: "\\.d\\.ts$" }, {}),
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.base.json" },
    doNotFollow: { path: "node_modules" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "require", "node", "default"] },
  },
}
