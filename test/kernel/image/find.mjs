/**
 * The kernel that the machine boots: a ready image where one is at hand, else the one in the cache,
 * else it is built, which takes some ten minutes. All have the options of kernel.config and the
 * boot parameters of patch.mjs; the newest kernel is as good as an older one.
 */
import crypto from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { SetupFailure } from '../../../scripts/setup/npm.mjs'
import { at } from '../../../scripts/setup/paths.mjs'
import { say } from '../../../scripts/setup/progress.mjs'
import { cacheFolder } from '../packages.mjs'
import { buildImage } from './build.mjs'

/** A folder with a ready image, named like `bzImage-7.3.4-nested-lab`; empty: none is wanted. */
const READY_FOLDER = 'PASIDD_KERNEL_LAB'
/** Where such a folder is found by itself. */
const READY_FOLDER_BESIDE = '../shared/kernel-lab'
const READY_IMAGE = /^bzImage-\d+(\.\d+)*-nested-lab$/

const OPTIONS = at('test/kernel/image/kernel.config')
/** What an image depends on, beside the kernel's version. */
const INPUTS = [OPTIONS, at('test/kernel/image/patch.mjs')]

const CACHE_DAYS = 14
const DAY_MS = 86_400_000

function readyImage() {
  const named = process.env[READY_FOLDER]
  if (named === '') return undefined
  const folder = named ?? at(READY_FOLDER_BESIDE)
  const names = fs.existsSync(folder) ? fs.readdirSync(folder) : []
  const images = names.filter((name) => READY_IMAGE.test(name))
  const byVersion = images.sort((a, b) => a.localeCompare(b, undefined, { numeric: true }))
  const newest = byVersion.at(-1)
  if (newest !== undefined) return path.join(folder, newest)
  if (named === undefined) return undefined
  throw new SetupFailure(
    `${READY_FOLDER}: there is no bzImage-VERSION-nested-lab in ${named}; unset it, or set it to ` +
      'nothing to have the kernel built',
  )
}

function cachedFile() {
  const hash = crypto.createHash('sha256')
  for (const file of INPUTS) hash.update(fs.readFileSync(file))
  return path.join(cacheFolder(), `bzImage-${hash.digest('hex').slice(0, 20)}`)
}

/** What nobody has used for long: images for other options, and builds that were killed. */
function forgetOld(file) {
  const folder = path.dirname(file)
  const before = Date.now() - CACHE_DAYS * DAY_MS
  for (const name of fs.readdirSync(folder)) {
    const other = path.join(folder, name)
    if (fs.statSync(other).mtimeMs < before) fs.rmSync(other, { recursive: true, force: true })
  }
}

/** The image's file. @throws Unavailable when there is none, and none can be built */
export async function findImage() {
  const ready = readyImage()
  if (ready !== undefined) {
    say(`the kernel is at hand: ${path.basename(ready)}`)
    return ready
  }
  const file = cachedFile()
  if (fs.existsSync(file)) fs.utimesSync(file, new Date(), new Date())
  else await buildImage(file, OPTIONS)
  forgetOld(file)
  return file
}
