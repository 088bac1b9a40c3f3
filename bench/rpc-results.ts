/** bench/RESULTS.md: one section a bench, each with its machine and date. Called by main.ts. */

import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { execFileSync } from 'node:child_process'

const FILE = 'bench/RESULTS.md'
const TITLE = '# Results of `npm run bench`'
const INTRODUCTION =
  'Written by `npm run bench -- all` (or `core`, `rpc`, `flood`: then only that section is new). Figures are ' +
  'medians of many rounds; nothing here is asserted by a test.'

/** Sections in the order of the file. */
export const SECTIONS = { core: 'Core', rpc: 'RPC', flood: 'Flood' } as const
export type SectionName = keyof typeof SECTIONS

function commit(root: string): string {
  try {
    const args = ['-C', root, 'rev-parse', '--short', 'HEAD']
    return execFileSync('git', args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  } catch {
    return 'no commit'
  }
}

/** Type of the file system that a folder is on: the mount with the longest path above it. */
function filesystemOf(folder: string): string {
  const mounts = fs.readFileSync('/proc/mounts', 'utf8').trim().split('\n')
  let best = { point: '', type: 'unknown' }
  for (const mount of mounts) {
    const [, point = '', type = ''] = mount.split(' ')
    const isAbove = point === '/' || folder === point || folder.startsWith(`${point}/`)
    if (isAbove && point.length >= best.point.length) best = { point, type }
  }
  return best.type
}

/** One line that says where and when. */
function machine(root: string): string {
  const cpus = os.cpus()
  const [load = 0] = os.loadavg()
  const parts = [
    new Date().toISOString().slice(0, 10),
    `${cpus.length} × ${cpus[0]?.model.trim() ?? 'unknown CPU'}`,
    `${Math.round(os.totalmem() / 2 ** 30)} GiB`,
    `Node ${process.versions.node}`,
    `${os.type()} ${os.release()}`,
    `ledger on ${filesystemOf(root)}`,
    `commit ${commit(root)}`,
    `load average ${load.toFixed(1)} at the end`,
  ]
  return `${parts.join(' · ')}.`
}

/** The sections of the file as it is, by their headings. */
function readSections(file: string): Map<string, string> {
  const sections = new Map<string, string>()
  if (!fs.existsSync(file)) return sections
  for (const part of fs.readFileSync(file, 'utf8').split(/^## /m).slice(1)) {
    const end = part.indexOf('\n')
    sections.set(part.slice(0, end), part.slice(end + 1).trim())
  }
  return sections
}

/** Puts a section in place of the former one; the others stay. */
export function writeSection(root: string, name: SectionName, body: string): string {
  const file = path.join(root, FILE)
  const sections = readSections(file)
  sections.set(SECTIONS[name], `${machine(root)}\n\n${body.trim()}`)
  const texts = Object.values(SECTIONS).flatMap((heading) => {
    const text = sections.get(heading)
    return text === undefined ? [] : [`## ${heading}\n\n${text}`]
  })
  fs.writeFileSync(file, `${[TITLE, INTRODUCTION, ...texts].join('\n\n')}\n`)
  return file
}
