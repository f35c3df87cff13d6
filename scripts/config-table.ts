import { jsonSchema } from "#src/config/schema.js"

interface Node {
  readonly type?: string
  readonly description?: string
  readonly default?: string | number | boolean | object
  readonly enum?: readonly unknown[]
  readonly const?: string | number | boolean
  readonly properties?: Readonly<Record<string, Node>>
  readonly required?: readonly string[]
  readonly additionalProperties?: Node | boolean
  readonly items?: Node
}

/** Every key of the configuration file with what it takes, its default, and what it is. */
export function configRows(profiles: readonly string[]): readonly (readonly string[])[] {
  return rows("", jsonSchema(profiles))
}

function rows(path: string, { properties = {}, required = [] }: Node): readonly (readonly string[])[] {
  return Object.entries(properties).flatMap(([name, node]) => {
    const here = path === "" ? name : `${path}.${name}`
    const own = [`\`${here}\``, takes(node), defaultOf(node, required.includes(name)), node.description ?? ""]
    const entry = typeof node.additionalProperties === "object" ? node.additionalProperties : undefined
    const within = entry?.properties === undefined ? rows(here, node) : rows(`${here}.NAME`, entry)
    return [own, ...within]
  })
}

function takes({ type, enum: names, const: only, items }: Node): string {
  if (only !== undefined) return `\`${String(only)}\``
  if (names !== undefined) return names.map((name) => `\`${String(name)}\``).join(", ")
  if (items !== undefined) return `list of: ${takes(items)}`
  return { object: "mapping", string: "text", boolean: "`true`, `false`" }[type ?? ""] ?? type ?? "mapping or text"
}

function defaultOf(node: Node, required: boolean): string {
  const isPlain = node.default !== undefined && typeof node.default !== "object"
  if (isPlain || Array.isArray(node.default))
    return `\`${isPlain ? String(node.default) : (node.default as readonly string[]).join(", ")}\``
  return required && node.default === undefined ? "needed" : ""
}
