/** docs/CLIENTS.md shows the code that the tests run, not a copy that may have aged. */
import fs from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { LANGUAGES } from './languages.js'

const ROOT = path.resolve(import.meta.dirname, '../..')
const SNIPPET = /<!-- (?<file>test\/interop\/\S+) -->\n```\w*\n(?<code>[^]*?)\n```/g

/** Without the indentation that all lines have in common, and without space around. */
function plain(text: string): string {
  const lines = text.split('\n').map((line) => line.replaceAll('\t', '    '))
  const indents = lines.filter((line) => line.trim() !== '').map((line) => line.search(/\S/))
  const least = Math.min(...indents)
  return lines
    .map((line) => line.slice(least).trimEnd())
    .join('\n')
    .trim()
}

/** Whether the snippet's lines stand in the file one after the other, at whatever depth. */
function has(file: string, snippet: string): boolean {
  const lines = fs.readFileSync(path.join(ROOT, file), 'utf8').split('\n')
  const count = plain(snippet).split('\n').length
  return lines.some((_, i) => plain(lines.slice(i, i + count).join('\n')) === plain(snippet))
}

const document = fs.readFileSync(path.join(ROOT, 'docs/CLIENTS.md'), 'utf8')
const snippets = [...document.matchAll(SNIPPET)].map(({ groups }) => ({
  file: groups?.file ?? '',
  code: groups?.code ?? '',
}))

test('every language has snippets', () => {
  const folders = new Set(snippets.map(({ file }) => file.split('/')[2]))
  expect([...folders].sort()).toEqual(Object.keys(LANGUAGES).sort())
})

test.each(snippets)('a snippet of $file is the tested code', ({ file, code }) => {
  expect(has(file, code), `${file} has no longer:\n${code}`).toBe(true)
})
