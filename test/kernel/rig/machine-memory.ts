/**
 * The machine's physical memory and registers from inside: over QMP, which QEMU serves on a port of
 * the machine (vm/machine.mjs). So tests see what the IOMMU's driver has written, as the IOMMU
 * does. Calls wait for the answer, and nothing else runs meanwhile.
 */
import fs from 'node:fs'
import type { PhysicalMemory } from '../../../src/backend/emulator/memory.js'

/** The second port; the first is vitest's. */
const PORT = '/dev/vport0p2'
const CHUNK_BYTES = 65_536
/** What one look reads: a PASID entry. */
const LINE_BYTES = 64

interface Answer {
  readonly return?: unknown
  readonly error?: { readonly desc: string }
}

/** A port is opened once. */
class Qmp {
  readonly #fd = fs.openSync(PORT, 'r+')
  #rest = ''

  constructor() {
    this.command('qmp_capabilities')
  }

  command(execute: string, args: object = {}): unknown {
    fs.writeSync(this.#fd, `${JSON.stringify({ execute, arguments: args })}\n`)
    for (;;) {
      const answer = this.#line()
      if (answer.error !== undefined) throw new Error(`${execute}: ${answer.error.desc}`)
      // A greeting and events come in between.
      if ('return' in answer) return answer.return
    }
  }

  #line(): Answer {
    const chunk = Buffer.alloc(CHUNK_BYTES)
    for (;;) {
      const end = this.#rest.indexOf('\n')
      if (end >= 0) {
        const line = this.#rest.slice(0, end)
        this.#rest = this.#rest.slice(end + 1)
        return JSON.parse(line) as Answer
      }
      this.#rest += chunk.toString('utf8', 0, fs.readSync(this.#fd, chunk))
    }
  }
}

let qmp: Qmp | undefined

/** A command of QEMU's machine protocol. */
export function machineCommand(execute: string, args: object = {}): unknown {
  qmp ??= new Qmp()
  return qmp.command(execute, args)
}

/** Words of 64 bits, at a multiple of 8. */
export function readMachine(address: number, words: number): readonly bigint[] {
  const line = `xp /${words}gx 0x${address.toString(16)}`
  const text = machineCommand('human-monitor-command', { 'command-line': line })
  // `0000000000001000: 0x0000000000000001 0x0000000000000002`
  const found = String(text).match(/0x[0-9a-f]{16}\b/g) ?? []
  if (found.length !== words) throw new Error(`${line} answers ${String(text)}`)
  return found.map(BigInt)
}

/** Memory as it is when it is first looked at. */
export class MemorySnapshot implements PhysicalMemory {
  readonly #lines = new Map<number, readonly bigint[]>()

  read(address: number): bigint {
    const line = Math.floor(address / LINE_BYTES)
    let words = this.#lines.get(line)
    if (words === undefined) {
      words = readMachine(line * LINE_BYTES, LINE_BYTES / 8)
      this.#lines.set(line, words)
    }
    return words[(address % LINE_BYTES) / 8] ?? 0n
  }

  exchange(): false {
    return false
  }
}
