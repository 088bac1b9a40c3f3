/** The rules about arrows: the import table, cycles, dead files, hidden tests. */
import ts from 'typescript'
import {
  type Import,
  importsOf,
  lineOf,
  parse,
  roomOf,
  sourcesOf,
  type Tree,
  type Violation,
  walk,
} from './tree.js'
import { ENTRY_FILES, ENTRY_FOLDERS, GENERATED, HOUSE, type Room } from './table.js'

const packageOf = (specifier: string) =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')

function list(names: readonly string[]): string {
  return names.length === 0 ? 'nothing' : names.join(', ')
}

/** Why the room may not import this, or undefined when it may. */
function refusal(tree: Tree, roomName: string, room: Room, found: Import): string | undefined {
  const { specifier, target } = found
  if (target !== undefined) {
    if (!tree.has(target)) return `${specifier} is no file here`
    const other = roomOf(target)
    if (other === roomName) return undefined
    const inHouse = target.replace(/^src\//, '')
    if (room.rooms.some((allowed) => allowed === other || allowed === inHouse)) return undefined
    return `may not see ${inHouse}; its rooms are ${list(room.rooms)}`
  }
  if (specifier.startsWith('node:')) {
    if (room.builtins === 'all' || room.builtins.includes(specifier)) return undefined
    return `may not use ${specifier}; of Node's modules it has ${list(room.builtins)}`
  }
  const name = packageOf(specifier)
  if (room.packages.includes(name)) return undefined
  return `may not use the package ${name}; its packages are ${list(room.packages)}`
}

/** Each room sees only what the table gives it, type imports included. */
export function checkArrows(tree: Tree): readonly Violation[] {
  const violations: Violation[] = []
  for (const [file, text] of sourcesOf(tree)) {
    const roomName = roomOf(file)
    const room = roomName === undefined ? undefined : HOUSE[roomName]
    if (roomName === undefined || room === undefined) {
      const message = `is in no room of the house; rooms are ${list(Object.keys(HOUSE))}`
      violations.push({ file, line: 1, rule: 'arrow', message })
      continue
    }
    for (const found of importsOf(file, text)) {
      if (found.isUrl) continue
      const why = refusal(tree, roomName, room, found)
      if (why === undefined) continue
      violations.push({ file, line: found.line, rule: 'arrow', message: `${roomName}/ ${why}` })
    }
  }
  return violations
}

/**
 * The shortest way back to the file along imports, as the files passed; undefined when there is
 * none.
 */
function wayBack(graph: ReadonlyMap<string, readonly Import[]>, start: string) {
  const cameFrom = new Map<string, string>()
  const queue = [start]
  for (const file of queue) {
    for (const { target } of graph.get(file) ?? []) {
      if (target === start) {
        const way = [start]
        for (let at = file; at !== start; at = cameFrom.get(at) ?? start) way.unshift(at)
        return [start, ...way]
      }
      if (target === undefined || cameFrom.has(target)) continue
      cameFrom.set(target, file)
      queue.push(target)
    }
  }
  return undefined
}

/** No file reaches itself along imports, type imports included. Each cycle is told once. */
export function checkCycles(tree: Tree): readonly Violation[] {
  const graph = new Map<string, readonly Import[]>()
  for (const [file, text] of sourcesOf(tree)) {
    if (file.startsWith(GENERATED)) continue
    graph.set(
      file,
      importsOf(file, text).filter(({ isUrl }) => !isUrl),
    )
  }
  const violations: Violation[] = []
  const told = new Set<string>()
  for (const [file, imports] of graph) {
    if (told.has(file)) continue
    const way = wayBack(graph, file)
    if (way === undefined) continue
    for (const member of way) told.add(member)
    const line = imports.find(({ target }) => target === way[1])?.line ?? 1
    const message = `no cycles, type imports included: ${way.join(' -> ')}`
    violations.push({ file, line, rule: 'cycle', message })
  }
  return violations
}

/** Every file of src/ is reached from an entry. */
export function checkDead(tree: Tree): readonly Violation[] {
  const isEntry = (file: string) =>
    ENTRY_FILES.includes(file) || ENTRY_FOLDERS.some((folder) => file.startsWith(folder))
  const queue = [...tree.keys()].filter((file) => isEntry(file) && file.endsWith('.ts'))
  const reached = new Set(queue)
  for (const file of queue) {
    for (const { target } of importsOf(file, tree.get(file) ?? '')) {
      if (target === undefined || reached.has(target) || !tree.has(target)) continue
      reached.add(target)
      queue.push(target)
    }
  }
  const message = `no entry reaches it; entries are ${list([...ENTRY_FILES, ...ENTRY_FOLDERS])}`
  return sourcesOf(tree)
    .filter(([file]) => !reached.has(file) && !file.startsWith(GENERATED))
    .map(([file]) => ({ file, line: 1, rule: 'dead file', message }))
}

const HIDING = /^(test|it|describe)(\.\w+)*\.(only|skip|skipIf|runIf|todo)$/

/** Tests run, all of them, and one that is skipped says why. */
export function checkTests(tree: Tree): readonly Violation[] {
  const violations: Violation[] = []
  for (const [file, text] of tree) {
    if (!file.endsWith('.test.ts')) continue
    const source = parse(file, text)
    walk(source, (node) => {
      if (!ts.isPropertyAccessExpression(node) || !HIDING.test(node.getText(source))) return
      const message = `${node.getText(source)} hides tests; use ctx.skip(condition, 'the reason')`
      violations.push({ file, line: lineOf(source, node), rule: 'hidden test', message })
    })
  }
  return violations
}
