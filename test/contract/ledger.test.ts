/** The SQLite ledger keeps the ledger's contract. */

import { LedgerDirectory } from '../support/ledger-home.js'
import { ledgerContract, type LedgerHome } from './ledger.js'
import { ledgerAuditContract } from './ledger-audit.js'

function create(): LedgerHome {
  const directory = new LedgerDirectory()
  return {
    open: ({ bootId = 'boot-1', ...other } = {}) => directory.open({ bootId, ...other }),
    openElsewhere: () =>
      directory.elsewhere(`
        try {
          const ledger = await open()
          await ledger.close()
          say({ opened: true, told: '' })
        } catch (error) {
          say({ opened: false, told: error.message })
        }`),
  }
}

ledgerContract('SQLite', create)
ledgerAuditContract('SQLite', create)
