/**
 * Every structure, request number and constant of src/uapi/ that the native backend uses, against
 * the kernel's own headers: a C program is made from the same tables that encode and decode, and
 * compiled. Runs on the host; needs no kernel of its own.
 */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { beforeAll, describe, expect, type TestContext, test } from 'vitest'
import { run, Unavailable, works } from '../../interop/toolchains.js'
import { kernelHeaders } from './headers.js'
import { differences, programOf, SUBJECTS, type Subject } from './program.js'

let printed: Promise<string>

/** What the program prints when it is compiled against the headers. */
async function compiled(subjects: readonly Subject[]): Promise<string> {
  if (!(await works(['gcc', '--version']))) throw new Unavailable('needs gcc')
  const folders = await kernelHeaders()
  const work = fs.mkdtempSync(path.join(os.tmpdir(), 'pasidd-layouts-'))
  try {
    const [source, program] = [path.join(work, 'layouts.c'), path.join(work, 'layouts')]
    fs.writeFileSync(source, programOf(subjects))
    const includes = folders.flatMap((folder) => ['-isystem', folder])
    await run(['gcc', '-Wall', '-Werror', ...includes, '-o', program, source])
    return await run([program])
  } finally {
    fs.rmSync(work, { recursive: true })
  }
}

async function orSkip<T>(context: TestContext, wanted: Promise<T>): Promise<T> {
  return wanted.catch((error: unknown) => {
    if (error instanceof Unavailable) return context.skip(error.message)
    throw error
  })
}

beforeAll(() => {
  printed = compiled(SUBJECTS)
  // Each test says it.
  printed.catch(() => undefined)
})

describe('as in the headers of the kernel', () => {
  for (const { name } of SUBJECTS) {
    test(name, async (context) => {
      const wrong = differences(SUBJECTS, await orSkip(context, printed))
      expect(wrong.get(name)).toEqual([])
    })
  }
})

test('a wrong offset, width, number and size are each seen', async (context) => {
  const said = await orSkip(context, printed)
  for (const { name, facts } of SUBJECTS) {
    for (const wrong of facts) {
      const others = facts.map((one) => (one === wrong ? { ...one, value: one.value + 1 } : one))
      const subjects = SUBJECTS.map((one) => (one.name === name ? { name, facts: others } : one))
      const found = differences(subjects, said).get(name)
      expect(found).toEqual([`${wrong.what} is ${wrong.value}, and not ${wrong.value + 1}`])
    }
  }
})
