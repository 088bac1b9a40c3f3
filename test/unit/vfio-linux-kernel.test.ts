/** The product's kernel port, on real descriptors and a real thread. */

import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { linuxKernel } from '../../src/backend/vfio/linux-kernel.js'

let folder = ''
let number = -1
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'vfio-linux-'))
  const fifo = path.join(folder, 'fifo')
  execFileSync('mkfifo', [fifo])
  number = fs.openSync(fifo, fs.constants.O_RDWR | fs.constants.O_NONBLOCK)
})
afterEach(() => {
  fs.closeSync(number)
  fs.rmSync(folder, { recursive: true, force: true })
})

test('what can be read is told once, until it is asked for anew', async () => {
  let told = 0
  const watch = (): void => {
    const once = linuxKernel.whenReadable(number, () => {
      told += 1
      once.stop()
    })
  }
  watch()
  fs.writeSync(number, 'x')
  await expect.poll(() => told).toBe(1)
  // It can still be read: to be asked anew is to be told again.
  watch()
  await expect.poll(() => told).toBe(2)
})

test('a watch that was stopped tells nothing, and may be stopped again', async () => {
  let told = 0
  const once = linuxKernel.whenReadable(number, () => {
    told += 1
  })
  once.stop()
  once.stop()
  fs.writeSync(number, 'x')
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(told).toBe(0)
})

test('a thread makes calls on what was adopted, and closes it', async () => {
  const thread = linuxKernel.startThread('vfio-test')
  const file = path.join(folder, 'file')
  const fd = linuxKernel.adopt(fs.openSync(file, 'wx+'), 'a file')
  expect(await thread.write(fd.number, Buffer.from('all'))).toEqual({ code: 3 })
  const bytes = new Uint8Array()
  const ioctl = await thread.ioctl({ fd: fd.number, request: 0x3b76, bytes })
  expect(ioctl.code).toBe(-os.constants.errno.ENOTTY)
  expect(await thread.close(fd)).toEqual({ code: 0 })
  thread.end()
  expect(fs.readFileSync(file, 'utf8')).toBe('all')
})
