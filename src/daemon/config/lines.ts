/**
 * On which line of a TOML file a key stands. The parser does not tell, so this looks by itself:
 * good for messages, never used for meaning. What it cannot find has no line.
 */

export type KeyPath = readonly (string | number)[]

/** The last part of the key at the start of a line, and the tables above it. */
function keysOf(dotted: string): string[] {
  return dotted.split('.').map((part) => part.trim().replace(/^["']|["']$/g, ''))
}

/** Key path (joined by NUL) -> line number, for every table header and key of the text. */
export function linesOf(toml: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>()
  const counts = new Map<string, number>()
  let above: (string | number)[] = []
  const put = (path: KeyPath, line: number) => {
    const key = path.join('\0')
    if (!found.has(key)) found.set(key, line)
  }
  for (const [index, text] of toml.split('\n').entries()) {
    const header = /^\s*(\[\[?)([^[\]]+)\]\]?\s*(#.*)?$/.exec(text)
    if (header !== null) {
      above = keysOf(header[2] ?? '')
      if (header[1] === '[[') {
        const list = above.join('\0')
        const at = counts.get(list) ?? 0
        counts.set(list, at + 1)
        above.push(at)
      } else if (above.length > 1) {
        // A table below the newest entry of a list belongs to that entry.
        const list = above[0] ?? ''
        const at = counts.get(String(list))
        if (at !== undefined) above.splice(1, 0, at - 1)
      }
      put(above, index + 1)
      continue
    }
    const key = /^\s*([A-Za-z0-9_."'-]+(?:\s*\.\s*[A-Za-z0-9_"'-]+)*)\s*=/.exec(text)
    if (key !== null) put([...above, ...keysOf(key[1] ?? '')], index + 1)
  }
  return found
}

/** The line of the key, or of the nearest thing that holds it. */
export function lineOf(lines: ReadonlyMap<string, number>, path: KeyPath): number | undefined {
  for (let length = path.length; length > 0; length--) {
    const line = lines.get(path.slice(0, length).join('\0'))
    if (line !== undefined) return line
  }
  return undefined
}
