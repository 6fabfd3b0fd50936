import { formatDuration } from '../base/time.ts'
import type { TargetResult } from '../report/result.ts'
import type { Paint } from './paint.ts'

type Probe = NonNullable<TargetResult['probe']>
type Address = Probe['addresses'][number]
type Verdict = Address['verdicts'][number]

/** What each address shows, and what each kind of device makes of it. */
export const probeText = ({ addresses, port, serverName }: Probe, paint: Paint): readonly string[] => [
  `  asked    for ${serverName}`,
  ...addresses.flatMap(address => addressText(address, port, paint)),
]

function addressText(shown: Address, port: number, paint: Paint): readonly string[] {
  const { address, error, skipped, chain, daysLeft, protocol, cipher, verdicts } = shown
  const where = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
  if (skipped) return [`  ${where}  skipped: this machine has no IPv6`]
  const speaks = protocol ? [`${protocol} ${cipher}`] : []
  const left = daysLeft === null ? [] : [daysLeft < 0 ? 'expired' : `${daysLeft} days left`]
  const failed = error === null ? [] : [`no answer: ${error}`]
  const certificates = chain.map(
    ({ subject, names, issuer, keyType, notBefore, notAfter, fingerprint }, i) =>
      `    ${i === 0 ? 'leaf  ' : 'issuer'} ${subject || names.join(', ')}, ${keyType}, by ${issuer}, ${notBefore} to ${notAfter}, sha256 ${fingerprint}`,
  )
  return [
    `  ${where}  ${[...failed, ...left, ...speaks].join(', ')}`,
    ...certificates,
    ...verdicts.flatMap(verdict => verdictText(verdict, paint)),
  ]
}

const CANARY = { accepted: ', canary accepted', refused: ', canary refused', 'not-sent': ', canary not sent' }

function verdictText(verdict: Verdict, paint: Paint): readonly string[] {
  const { profile, ok, protocol, cipher, problem, canary, durationMs, lines } = verdict
  const who = profile ?? 'any device'
  const took = durationMs >= 1_000 ? formatDuration(durationMs) : `${durationMs} ms`
  const speaks = [...(protocol ? [`${protocol} ${cipher}`] : []), took].join(', ')
  const says = ok ? paint('accepts', 32) : paint('refuses', 31)
  return [
    `    ${says} ${who} (${speaks}${canary ? CANARY[canary] : ''})${problem ? `: ${problem}` : ''}`,
    ...lines
      .filter(line => line.reason !== problem)
      .map(line => `      ${line.verdict}  ${line.check}: ${line.reason ?? line.new}`),
  ]
}
