import ts from "typescript"

/** A small change of a compiled file: the text from `start` to `end` (UTF-16 units) is replaced. */
export interface Mutation {
  readonly start: number
  readonly end: number
  readonly replacement: string
  /** Line of the compiled file, from 1. */
  readonly line: number
  /** What changes, as `[before -> after]` with what stands around it, on one line. */
  readonly change: string
}

const OTHER_OPERATOR: Partial<Record<ts.SyntaxKind, string>> = {
  [ts.SyntaxKind.EqualsEqualsEqualsToken]: "!==",
  [ts.SyntaxKind.ExclamationEqualsEqualsToken]: "===",
  [ts.SyntaxKind.LessThanToken]: "<=",
  [ts.SyntaxKind.LessThanEqualsToken]: "<",
  [ts.SyntaxKind.GreaterThanToken]: ">=",
  [ts.SyntaxKind.GreaterThanEqualsToken]: ">",
  [ts.SyntaxKind.AmpersandAmpersandToken]: "||",
  [ts.SyntaxKind.BarBarToken]: "&&",
  [ts.SyntaxKind.PlusToken]: "-",
  [ts.SyntaxKind.MinusToken]: "+",
}

const OTHER_METHOD: Readonly<Record<string, string>> = { every: "some", some: "every", min: "max", max: "min" }

/** All small changes of a file that its tests ought to notice: no text and no comment among them. */
export function mutationsOf(file: string, text: string): readonly Mutation[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ESNext, true, ts.ScriptKind.JS)
  const mutations: Mutation[] = []
  const add = (node: ts.Node, replacement: string): void => {
    const [start, end] = [node.getStart(source), node.getEnd()]
    const line = source.getLineAndCharacterOfPosition(start).line + 1
    const shown = (from: number, to: number): string => text.slice(from, to).replace(/\s+/g, " ")
    const change = `${shown(start - 40, start)}[${shown(start, Math.min(end, start + 80))} -> ${replacement.slice(0, 80)}]${shown(end, end + 30)}`
    mutations.push({ start, end, replacement, line, change })
  }
  const visit = (node: ts.Node): void => {
    // what is decided within a text is how it reads
    if (ts.isTemplateExpression(node)) return
    // how the compiler spells `using`
    if (ts.isVariableStatement(node) && /^var __\w+ =/.test(node.getText(source))) return
    const replacement = changed(node, source)
    if (replacement !== undefined) add(replacement.node, replacement.text)
    ts.forEachChild(node, visit)
  }
  visit(source)
  return mutations
}

/** The change of one node, where it has one. */
function changed(node: ts.Node, source: ts.SourceFile): { readonly node: ts.Node; readonly text: string } | undefined {
  const textOf = (part: ts.Node): string => part.getText(source)
  if (ts.isBinaryExpression(node)) {
    const operator = OTHER_OPERATOR[node.operatorToken.kind]
    // a text is joined by + too, and text is nobody's decision
    const joins = node.operatorToken.kind === ts.SyntaxKind.PlusToken && /["'`]/.test(textOf(node))
    return operator === undefined || joins ? undefined : { node: node.operatorToken, text: operator }
  }
  if (ts.isIfStatement(node)) return { node: node.expression, text: `!(${textOf(node.expression)})` }
  if (ts.isConditionalExpression(node)) return { node: node.condition, text: `!(${textOf(node.condition)})` }
  if (ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.ExclamationToken) {
    return { node, text: textOf(node.operand) }
  }
  if (node.kind === ts.SyntaxKind.TrueKeyword) return { node, text: "false" }
  if (node.kind === ts.SyntaxKind.FalseKeyword) return { node, text: "true" }
  if (ts.isThrowStatement(node)) return { node, text: ";" }
  if (ts.isExpressionStatement(node) && !isSuperCall(node)) return { node, text: ";" }
  if (ts.isIdentifier(node) && ts.isPropertyAccessExpression(node.parent) && node.parent.name === node) {
    const method = Object.hasOwn(OTHER_METHOD, node.text) ? OTHER_METHOD[node.text] : undefined
    return method === undefined || !ts.isCallExpression(node.parent.parent) ? undefined : { node, text: method }
  }
  return undefined
}

const isSuperCall = ({ expression }: ts.ExpressionStatement): boolean =>
  ts.isCallExpression(expression) && expression.expression.kind === ts.SyntaxKind.SuperKeyword
