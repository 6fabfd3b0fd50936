import type { StepName } from '../../model/outcomes.ts'
import type { Context } from '../context.ts'
import { checkChain, sentence } from '../decide/check-chain.ts'
import type { Decided } from '../decide/decision.ts'
import { turnFor } from '../rings/await-turn.ts'
import { shown } from '../steps/preflight.ts'
import { roomFor } from '../steps/slots.ts'

/** `plan`, and `status` where something is due: what preflight would say, which slot would be used, and why. */
export async function planSteps(context: Context, decided: Decided): Promise<void> {
  const { specHash, trace } = context
  const { inspection, document, decision } = decided
  if (decision.plan !== 'deploy') return
  const tell = (step: StepName, detail: string): void =>
    trace.add('steps', { step, status: 'skipped', durationMs: 0, call: null, detail })
  const { pending } = inspection.documents.certificate
  if (pending?.chainPem && pending.specHash === specHash) {
    const lines = checkChain(context, decided, pending.chainPem)
    const refusals = lines.filter(line => line.verdict === 'refuse').map(sentence)
    trace.add('tables', lines.map(shown))
    tell(
      'preflight',
      refusals.length === 0
        ? 'would accept the certificate in hand'
        : `would refuse the certificate in hand: ${refusals.join('; ')}`,
    )
    const found = await turnFor(context, decided, pending.chainPem)
    if (found && found.turn.turn !== 'now') tell('free', `${found.news}; ${found.turn.why}`)
  }
  const room = roomFor(context, decided, document, pending?.fingerprint ?? null)
  if (room.kind === 'present') tell('free', 'the certificate is in a slot already')
  else if (room.kind === 'room') tell('free', 'would use the free slot')
  else if (room.kind === 'delete') tell('free', `would delete ${room.slot.serverCertificateId}: ${room.why}`)
  else tell('free', `no slot: ${room.why}`)
}
