/**
 * A tree of files as data, and what a file imports. The rules see only this, so a test can make one
 * up.
 */
import path from 'node:path'
import ts from 'typescript'
import { HOUSE } from './table.js'

/** Path from the root of the repository -> text. */
export type Tree = ReadonlyMap<string, string>

export interface Violation {
  readonly file: string
  readonly line: number
  readonly rule: string
  readonly message: string
}

export interface Import {
  readonly specifier: string
  readonly line: number
  /** The file of this repository that is meant, undefined for packages and Node's modules. */
  readonly target: string | undefined
  /** `new URL('./thread.js', import.meta.url)`: reached, but not imported. */
  readonly isUrl: boolean
}

const parsed = new Map<string, ts.SourceFile>()

/** The syntax tree; the same text is parsed once. */
export function parse(file: string, text: string): ts.SourceFile {
  const key = `${file}\0${text}`
  let source = parsed.get(key)
  if (source === undefined) {
    source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2023, true)
    parsed.set(key, source)
  }
  return source
}

export function lineOf(source: ts.SourceFile, node: ts.Node): number {
  return source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1
}

/** Calls `visit` for the node and everything below it. */
export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node)
  ts.forEachChild(node, (child) => {
    walk(child, visit)
  })
}

function resolve(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined
  return path.posix.join(path.posix.dirname(from), specifier).replace(/\.js$/, '.ts')
}

/** The string literal that names a module in this node, if the node is any form of import. */
function moduleNameIn(node: ts.Node): ts.Node | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node.moduleSpecifier
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) return node.argument.literal
  if (ts.isExternalModuleReference(node)) return node.expression
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    return node.arguments[0]
  }
  return undefined
}

function urlNameIn(node: ts.Node): ts.Node | undefined {
  if (!ts.isNewExpression(node) || node.expression.getText() !== 'URL') return undefined
  return node.arguments?.[1]?.getText() === 'import.meta.url' ? node.arguments[0] : undefined
}

/** Every import of the file: static, type-only, re-export, dynamic, `import('x').T`, and URLs. */
export function importsOf(file: string, text: string): readonly Import[] {
  const source = parse(file, text)
  const found: Import[] = []
  walk(source, (node) => {
    const url = urlNameIn(node)
    const name = url ?? moduleNameIn(node)
    if (name === undefined || !ts.isStringLiteralLike(name)) return
    const target = resolve(file, name.text)
    found.push({
      specifier: name.text,
      line: lineOf(source, node),
      target,
      isUrl: url !== undefined,
    })
  })
  return found
}

/** 'core' for src/core/ids.ts, undefined for a file in no room. */
export function roomOf(file: string): string | undefined {
  const [, outer, inner] = /^src\/([^/]+)\/(?:([^/]+)\/)?./.exec(file) ?? []
  const nested = `${outer ?? ''}/${inner ?? ''}`
  return nested in HOUSE ? nested : outer
}

export function sourcesOf(tree: Tree): readonly (readonly [string, string])[] {
  return [...tree].filter(([file]) => file.startsWith('src/') && file.endsWith('.ts'))
}
