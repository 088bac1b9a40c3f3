/** The rules about one file by itself: sizes, header, bans. */
import ts from 'typescript'
import {
  CONSOLE_ROOMS,
  FILE_LINES_MAX,
  FUNCTION_LINES_MAX,
  GENERATED,
  LINE_COLUMNS_MAX,
} from './table.js'
import { lineOf, parse, roomOf, sourcesOf, type Tree, type Violation, walk } from './tree.js'

type Report = (line: number, rule: string, message: string) => void
type Check = (file: string, source: ts.SourceFile, report: Report) => void

/** What reads the clock, chance or the world; in core/ all of it comes in as an argument. */
const WORLD_CALLS: readonly string[] = ['Date.now', 'Math.random']
const WORLD_NAMES: readonly string[] = [
  'process',
  'performance',
  'crypto',
  'fetch',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
]

const checkSizes: Check = (_file, source, report) => {
  const lines = source.text.split('\n')
  const count = lines.at(-1) === '' ? lines.length - 1 : lines.length
  if (count > FILE_LINES_MAX) {
    report(FILE_LINES_MAX + 1, 'file size', `${count} lines; at most ${FILE_LINES_MAX}`)
  }
  for (const [index, line] of lines.entries()) {
    if (line.length <= LINE_COLUMNS_MAX || /https?:\/\//.test(line)) continue
    report(index + 1, 'line length', `${line.length} columns; at most ${LINE_COLUMNS_MAX}`)
  }
  walk(source, (node) => {
    if (!ts.isFunctionLike(node) || !('body' in node) || node.body === undefined) return
    const first = lineOf(source, node)
    const last = source.getLineAndCharacterOfPosition(node.end).line + 1
    const length = last - first + 1
    if (length <= FUNCTION_LINES_MAX) return
    const name = node.name?.getText(source) ?? 'a function'
    report(first, 'function size', `${name} has ${length} lines; at most ${FUNCTION_LINES_MAX}`)
  })
}

const checkHeader: Check = (file, source, report) => {
  const text = source.text.replace(/^#!.*\n/, '')
  if (!text.startsWith('/**')) {
    report(1, 'header', 'starts with /** what it is, what always holds, who calls it */')
  }
  if (/(^|[/-])(utils?|helpers?|common|misc)([/.-])/.test(file)) {
    report(1, 'file name', 'is the noun it holds, not utils, helpers, common or misc')
  }
  for (const [index, line] of source.text.split('\n').entries()) {
    const mark = /\b(TODO|FIXME|XXX)\b/.exec(line)
    if (mark !== null) report(index + 1, 'mark', `${mark[0]}: do it, or open an issue`)
  }
}

function isDefaultExport(node: ts.Node): boolean {
  if (ts.isExportAssignment(node)) return true
  if (ts.isExportSpecifier(node)) return node.name.text === 'default'
  const modifiers = ts.canHaveModifiers(node) ? ts.getModifiers(node) : undefined
  return modifiers?.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword) === true
}

const checkLanguage: Check = (_file, source, report) => {
  walk(source, (node) => {
    const say = (rule: string, message: string) => {
      report(lineOf(source, node), rule, message)
    }
    if (node.kind === ts.SyntaxKind.AnyKeyword) say('any', 'unknown, and a check at the border')
    if (isDefaultExport(node)) say('default export', 'named exports only')
    if (ts.isEnumDeclaration(node)) say('enum', 'a union of strings, or a table `as const`')
    if (ts.isNonNullExpression(node)) say('non-null !', 'assert, or handle undefined')
    if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
      const named = node.exportClause !== undefined && ts.isNamedExports(node.exportClause)
      if (!named) say('barrel', 'no `export *`; import from the file itself')
    }
  })
}

/** Names that the file declares itself: a parameter called `process` is not Node's. */
function declaredNames(source: ts.SourceFile): ReadonlySet<string> {
  const names = new Set<string>()
  walk(source, (node) => {
    const isDeclaration =
      ts.isParameter(node) || ts.isVariableDeclaration(node) || ts.isBindingElement(node)
    if (isDeclaration && ts.isIdentifier(node.name)) names.add(node.name.text)
    if (ts.isFunctionDeclaration(node) && node.name) names.add(node.name.text)
    if (ts.isImportSpecifier(node)) names.add(node.name.text)
  })
  return names
}

/**
 * An identifier that stands for a value: not a property's name, not a declaration's, not a type's.
 */
function isValueUse(node: ts.Identifier): boolean {
  const { parent } = node
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node
  if (ts.isShorthandPropertyAssignment(parent)) return true
  if (ts.isTypeNode(parent) || ts.isQualifiedName(parent)) return false
  return !('name' in parent && parent.name === node)
}

const checkWorld: Check = (file, source, report) => {
  const room = roomOf(file) ?? ''
  const declared = declaredNames(source)
  walk(source, (node) => {
    const say = (what: string, message: string) => {
      report(lineOf(source, node), `${what} in ${room}`, message)
    }
    if (ts.isIdentifier(node) && isValueUse(node) && !declared.has(node.text)) {
      if (node.text === 'console' && !CONSOLE_ROOMS.includes(room)) {
        say('console', `only ${CONSOLE_ROOMS.join(' and ')} write to it`)
      }
      if (room === 'core' && WORLD_NAMES.includes(node.text)) {
        say(node.text, 'core/ is pure; it comes in as an argument')
      }
    }
    if (room !== 'core') return
    if (ts.isPropertyAccessExpression(node) && WORLD_CALLS.includes(node.getText(source))) {
      say(node.getText(source), 'core/ is pure; it comes in as an argument')
    }
    if (ts.isNewExpression(node) && node.expression.getText(source) === 'Date') {
      say('new Date', 'core/ is pure; instants come in as numbers')
    }
    if (node.kind === ts.SyntaxKind.AsyncKeyword || ts.isAwaitExpression(node)) {
      say('async', 'core/ is synchronous')
    }
  })
}

const CHECKS: readonly Check[] = [checkSizes, checkHeader, checkLanguage, checkWorld]

/** All rules that look at one file of src/ by itself. */
export function checkFiles(tree: Tree): readonly Violation[] {
  const violations: Violation[] = []
  for (const [file, text] of sourcesOf(tree)) {
    if (file.startsWith(GENERATED)) continue
    const source = parse(file, text)
    for (const check of CHECKS) {
      check(file, source, (line, rule, message) => {
        violations.push({ file, line, rule, message })
      })
    }
  }
  return violations
}
