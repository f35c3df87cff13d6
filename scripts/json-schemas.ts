/**
 * JSON Schemas (draft 2020-12) of what each command prints with --json, read from the types of what it returns: nothing is
 * written twice, and a schema cannot say what the compiler does not.
 */
import { readFileSync } from "node:fs"
import ts from "typescript"

type Schema = Record<string, unknown>
interface ObjectSchema extends Schema {
  readonly properties: Readonly<Record<string, Schema>>
  readonly required: readonly string[]
}

const COMMANDS = "src/cli/commands"
const NULL = { type: "null" }

/** A path below docs/json and the text of the file, for each command that has a result, and for errors. */
export function jsonSchemas(): Readonly<Record<string, string>> {
  const { options, fileNames } = ts.parseJsonConfigFileContent(
    ts.readConfigFile("src/tsconfig.json", (file) => readFileSync(file, "utf8")).config,
    ts.sys,
    "src",
  )
  const program = ts.createProgram(fileNames, options)
  const checker = program.getTypeChecker()
  const declared = (path: string, name: string): ts.Type => {
    const file = program.getSourceFile(path)
    const module = file && checker.getSymbolAtLocation(file)
    const symbol = module && checker.getExportsOfModule(module).find((exported) => exported.name === name)
    if (symbol === undefined) throw new Error(`${path} has no ${name}`)
    return checker.getDeclaredTypeOfSymbol(symbol)
  }
  const reader = new SchemaReader(checker, {
    place: declared("src/host/places.ts", "Place"),
    skew: declared("src/host/clock.ts", "ClockSkew"),
  })
  const schemas: Record<string, Schema> = {}
  for (const file of program.getSourceFiles().filter(({ fileName }) => fileName.includes(`${COMMANDS}/`))) {
    const command = commandIn(file)
    const schema = command === undefined ? undefined : reader.ofCommand(command.name, command.run)
    if (command === undefined || schema === undefined) continue
    schemas[`docs/json/${command.name.replaceAll(" ", "-")}.schema.json`] = schema
  }
  const failure = declared("src/cli/text/failure.ts", "Failure").getProperty("json")
  if (failure === undefined) throw new Error("what is an error as JSON?")
  schemas["docs/json/error.schema.json"] = reader.ofError(checker.getTypeOfSymbol(failure))
  return Object.fromEntries(
    Object.entries(schemas).map(([path, schema]) => [path, `${JSON.stringify(schema, null, 2)}\n`]),
  )
}

interface FoundCommand {
  readonly name: string
  readonly run: ts.ObjectLiteralElementLike
}

/** The `name` and `run` of the literal that the file gives to defineCommand. */
function commandIn(file: ts.SourceFile): FoundCommand | undefined {
  let command: FoundCommand | undefined
  file.forEachChild(function visit(node): void {
    if (ts.isObjectLiteralExpression(node)) {
      const member = (wanted: string) => node.properties.find((property) => property.name?.getText() === wanted)
      const [name, run] = [member("name"), member("run")]
      if (name !== undefined && run !== undefined && ts.isPropertyAssignment(name)) {
        command = { name: JSON.parse(name.initializer.getText()) as string, run }
        return
      }
    }
    node.forEachChild(visit)
  })
  return command
}

/** What stands in every result beside the command's own. */
interface Surroundings {
  readonly place: ts.Type
  readonly skew: ts.Type
}

class SchemaReader {
  readonly #checker: ts.TypeChecker
  readonly #surroundings: Surroundings
  /** Of the command at hand: what has a name in the source, by that name. */
  #named = new Map<string, { readonly type: ts.Type; schema: Schema }>()

  constructor(checker: ts.TypeChecker, surroundings: Surroundings) {
    this.#checker = checker
    this.#surroundings = surroundings
  }

  ofCommand(name: string, run: ts.ObjectLiteralElementLike): Schema | undefined {
    this.#named = new Map()
    const body = ts.isPropertyAssignment(run) ? run.initializer : run
    if (!ts.isMethodDeclaration(body) && !ts.isArrowFunction(body)) throw new Error(`${name}: what does it return?`)
    const results = this.#returnsOf(body)
      .flatMap(partsOf)
      .map((part) => part.getProperty("result"))
      .filter((property) => property !== undefined)
      .flatMap((property) => partsOf(this.#checker.getTypeOfSymbol(property)))
      .filter((type) => type.flags & ts.TypeFlags.Object && this.#checker.getPropertiesOfType(type).length > 0)
      .map((type) => JSON.stringify(this.#surrounded(this.#ofObject(type))))
    const distinct = [...new Set(results)].map((text) => JSON.parse(text) as Schema)
    if (distinct.length === 0) return undefined
    return this.#document(`keyferry ${name} --json`, distinct)
  }

  /** Type of each `return`: the compiler makes of several the one that has what all have. */
  #returnsOf(body: ts.FunctionLikeDeclaration): readonly ts.Type[] {
    const types: ts.Type[] = []
    const returns = (expression: ts.Expression): void => {
      if (ts.isAwaitExpression(expression)) {
        returns(expression.expression)
        return
      }
      const called = ts.isCallExpression(expression)
        ? this.#checker.getResolvedSignature(expression)?.declaration
        : undefined
      if (called !== undefined && ts.isFunctionDeclaration(called) && called.typeParameters === undefined) {
        types.push(...this.#returnsOf(called))
        return
      }
      const type = this.#checker.getTypeAtLocation(expression)
      types.push(this.#checker.getAwaitedType(type) ?? type)
    }
    const visit = (node: ts.Node): void => {
      if (ts.isReturnStatement(node) && node.expression !== undefined) returns(node.expression)
      else if (!ts.isFunctionLike(node)) node.forEachChild(visit)
    }
    if (body.body === undefined) return []
    if (ts.isBlock(body.body)) visit(body.body)
    else returns(body.body)
    return types
  }

  /** The last line of standard error. */
  ofError(type: ts.Type): Schema {
    this.#named = new Map()
    return this.#document("an error of keyferry with --json", [this.#surrounded(this.#ofObject(type), {})])
  }

  #document(title: string, schemas: readonly Schema[]): Schema {
    const $defs = Object.fromEntries([...this.#named].sort().map(([name, { schema }]) => [name, schema]))
    return {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      title,
      ...(schemas.length === 1 ? schemas[0] : { anyOf: schemas }),
      $defs,
    }
  }

  #surrounded(schema: ObjectSchema, before: Schema = { schemaVersion: { const: 1 } }): Schema {
    const { place, skew } = this.#surroundings
    return {
      ...schema,
      properties: {
        ...before,
        ...schema.properties,
        // a result that tells KMS keys by that name was made without asking KMS
        kms: schema.properties["kms"] ?? { description: "where KMS was asked", type: "array", items: this.#of(place) },
        warnings: { description: "of this host's clock", type: "array", items: this.#of(skew) },
      },
      required: [...Object.keys(before), ...schema.required],
    }
  }

  #of(type: ts.Type): Schema {
    const parts = partsOf(type).filter(({ flags }) => (flags & ts.TypeFlags.Undefined) === 0)
    if (parts.length === 1 && parts[0] !== undefined) return this.#ofPart(parts[0])
    const words = parts.filter((part) => part.isStringLiteral()).map(({ value }) => value)
    const isBoolean = parts.filter(({ flags }) => flags & ts.TypeFlags.BooleanLiteral).length === 2
    const others = parts
      .filter((part) => !part.isStringLiteral() && !(isBoolean && part.flags & ts.TypeFlags.BooleanLiteral))
      .filter(({ flags }) => (flags & ts.TypeFlags.Null) === 0)
      .map((part) => this.#ofPart(part))
    const schemas = [
      ...(words.length === 0 ? [] : [wordsOf(words)]),
      ...(isBoolean ? [{ type: "boolean" }] : []),
      ...others,
      ...(parts.some(({ flags }) => flags & ts.TypeFlags.Null) ? [NULL] : []),
    ]
    const [first, second, ...more]: readonly (Schema | undefined)[] = schemas
    if (first === undefined || second === undefined) return first ?? {}
    const { type: named, ...rest } = first
    const isOrNull = second === NULL && more.length === 0 && typeof named === "string" && rest["enum"] === undefined
    return isOrNull ? { type: [named, "null"], ...rest } : { anyOf: schemas }
  }

  #ofPart(type: ts.Type): Schema {
    const { flags, aliasTypeArguments } = type
    const name = (type.aliasSymbol ?? type.getSymbol())?.name
    if (type.isStringLiteral() || type.isNumberLiteral()) return { const: type.value }
    if (flags & ts.TypeFlags.BooleanLiteral) return { const: this.#checker.typeToString(type) === "true" }
    if (flags & ts.TypeFlags.StringLike) return { type: "string" }
    if (flags & ts.TypeFlags.NumberLike) return { type: "number" }
    if (flags & ts.TypeFlags.BooleanLike) return { type: "boolean" }
    if (flags & ts.TypeFlags.Null) return NULL
    if (flags & ts.TypeFlags.TypeParameter) return this.#of(this.#checker.getBaseConstraintOfType(type) ?? type)
    if (this.#checker.isTupleType(type)) {
      const elements = this.#checker.getTypeArguments(type as ts.TypeReference).map((element) => this.#of(element))
      return { type: "array", prefixItems: elements, minItems: elements.length, maxItems: elements.length }
    }
    if (this.#checker.isArrayType(type)) {
      const element = this.#checker.getIndexTypeOfType(type, ts.IndexKind.Number)
      return { type: "array", items: element && this.#of(element) }
    }
    if (name === "Date") return { type: "string", format: "date-time" }
    if (!(flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection))) return {}
    const isNamed = name !== undefined && /^[A-Z]/.test(name) && this.#checker.getPropertiesOfType(type).length > 0
    return isNamed && aliasTypeArguments === undefined ? this.#reference(name, type) : this.#ofObject(type)
  }

  #reference(name: string, type: ts.Type): Schema {
    let title = name
    for (let nth = 2; (this.#named.get(title)?.type ?? type) !== type; nth += 1) title = `${name}${nth}`
    if (!this.#named.has(title)) {
      const entry = { type, schema: {} }
      this.#named.set(title, entry)
      entry.schema = this.#ofObject(type)
    }
    return { $ref: `#/$defs/${title}` }
  }

  #ofObject(type: ts.Type): ObjectSchema {
    const properties: Record<string, Schema> = {}
    const required: string[] = []
    for (const property of this.#checker.getPropertiesOfType(type)) {
      const propertyType = this.#checker.getTypeOfSymbol(property)
      if (propertyType.getCallSignatures().length > 0) continue
      const words = ts.displayPartsToString(property.getDocumentationComment(this.#checker)).replace(/\s+/g, " ")
      properties[property.name] = { ...(words === "" ? {} : { description: words }), ...this.#of(propertyType) }
      if (!(property.flags & ts.SymbolFlags.Optional)) required.push(property.name)
    }
    // of what is about one key of a target, places.ts says where that is
    if ("target" in properties && "keyArn" in properties) {
      for (const place of ["account", "partition", "region", "endpoint"])
        properties[place] ??= { type: ["string", "null"] }
    }
    const more = this.#checker.getIndexTypeOfType(type, ts.IndexKind.String)
    return {
      type: "object",
      properties,
      required,
      ...(more === undefined ? {} : { additionalProperties: this.#of(more) }),
    }
  }
}

const partsOf = (type: ts.Type): readonly ts.Type[] => (type.isUnion() ? type.types : [type])

/** A text that the source has whole is no word that a program goes by. */
const wordsOf = (words: readonly string[]): Schema =>
  words.some((word) => word.includes("\n")) ? { type: "string" } : { type: "string", enum: [...words].sort() }
