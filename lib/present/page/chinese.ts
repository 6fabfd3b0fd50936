import type { DueReason, IdleReason, Outcome, StepName, StepStatus } from '../../model/outcomes.ts'
import { ERRORS_ZH, EVENTS_ZH } from '../../notifiers/shared/chinese.ts'
import type { StateName } from '../../report/health.ts'
import type { Condition, Left } from '../urgency.ts'
import type { Words } from './english.ts'
import { html } from './html.ts'

const STEPS: Readonly<Record<StepName, string>> = {
  inspect: '查看现状',
  decide: '判断',
  obtain: '获取证书',
  preflight: '预检',
  free: '腾出证书位',
  add: '上传',
  bind: '绑定',
  verify: '验证',
  'roll-back': '回滚',
  record: '记录',
}
const STATUS: Readonly<Record<StepStatus, string>> = {
  done: '完成',
  skipped: '跳过',
  suspended: '等待',
  refused: '拒绝',
  failed: '失败',
}
const OUTCOMES: Readonly<Record<Outcome, string>> = {
  idle: '无事可做',
  planned: '仅预演',
  probed: '已查看',
  rotated: '已更换',
  revoked: '已吊销',
  repaired: '已修复',
  suspended: '等待中',
  busy: '他人处理中',
  held: '已暂停',
  'rolled-back': '已回滚',
  refused: '已拒绝',
  failed: '失败',
}
const REASONS: Readonly<Record<DueReason | IdleReason, string>> = {
  resume: '接着完成上次的工作',
  'no-certificate': '未绑定证书',
  expired: '证书已过期',
  expiring: '证书即将到期',
  'renewal-window': 'CA 建议续期',
  emergency: '证书马上到期',
  revoked: '证书已被吊销',
  'settings-changed': '配置已更改',
  'source-renewed': '来源有更新的证书',
  forced: '人工要求',
  fresh: '有效期充足',
  'backing-off': '失败后等待重试',
  held: '已暂停，等待人工确认',
  busy: '另一个运行正在处理',
  probed: '仅查看',
  paused: '暂时不能下单',
}
const STATES: Readonly<Record<StateName, string>> = {
  fine: REASONS.fresh,
  busy: REASONS.busy,
  unbound: REASONS['no-certificate'],
  'under-way': '进行中',
  late: '进行中，但即将到期',
  paused: REASONS.paused,
  ending: REASONS.expiring,
  failing: REASONS['backing-off'],
  held: REASONS.held,
  revoked: REASONS.revoked,
  failed: OUTCOMES.failed,
  refused: '没有设备可接受的证书',
  'rolled-back': OUTCOMES['rolled-back'],
  'refused-by-devices': '设备拒绝',
}
const UNITS: Readonly<Record<string, string>> = { d: '天', h: '小时', m: '分钟', s: '秒' }
const SEVERITIES: Readonly<Record<string, string>> = { info: '通知', warning: '警告', critical: '严重' }

/** A word of the table, if it has one: what is written down may be older than it, or newer. */
const word = (table: Readonly<Record<string, string>>, key: string): string =>
  Object.hasOwn(table, key) ? (table[key] ?? key) : key

/** The name by which commands, logs and the runbook call it stands beside. */
const named = (table: Readonly<Record<string, string>>, key: string): string =>
  Object.hasOwn(table, key) ? `${table[key]}（${key}）` : key

const errorText = (code: string): string => named(ERRORS_ZH, code)

function conditionText(condition: Condition): string {
  switch (condition.is) {
    case 'error':
      return errorText(condition.code)
    case 'ended':
      return `${word(OUTCOMES, condition.outcome)}：${errorText(condition.code)}`
    case 'refused':
      return `${condition.profile} 拒绝`
    case 'failures':
      return `失败 ${condition.count} 次`
    case 'due':
      return word(REASONS, condition.reason)
    case 'outcome':
      return word(OUTCOMES, condition.outcome)
    case 'state':
      return STATES[condition.state]
  }
}

function leftText(left: Left | null): string {
  if (!left) return '未见到'
  const amount = `${Math.abs(left.amount)} ${word(UNITS, left.unit)}`
  return left.amount < 0 ? `已过期 ${amount}` : amount
}

const foreign = (text: string) => html`<span lang="en">${text}</span>`

/** What stands in the English table, for a Chinese reader. */
export const CHINESE: Words = {
  lang: 'zh-CN',
  size: count => `${count} 个目标`,
  heading: (size, at) => html`${size}，截至 ${at}；最紧急的在前`,
  summary: '概况',
  show: '显示',
  all: '全部',
  more: (command: string) => html`详情：<span class="mono">${command}</span>`,
  fleet: '全部目标',
  footer: runId => html`运行 ${runId}。各种状态的含义与处理见 docs/zh-CN/operating.md。`,
  urgency: { bad: '立即处理', watch: '需要留意', well: '正常' },
  says: (urgency, condition) => `${urgency}：${condition}`,
  condition: conditionText,
  shareLeft: percent => `有效期剩余 ${percent}%`,
  left: left => html`${left && left.amount >= 0 && '剩余 '}<b>${leftText(left)}</b>`,
  lasts: (isServed, until, next) =>
    html`${isServed ? '所提供的证书' : '所绑定的证书'}有效期至 ${until}${next && html`；下次检查 ${next}`}。`,
  headings: {
    state: '状态',
    slots: '证书位与实际提供的证书',
    devices: '设备是否接受',
    online: '在线设备',
    ends: '即将到期的信任',
    steps: '最近一次实际执行的步骤',
    history: '历史',
  },
  columns: {
    where: '位置',
    certificate: '证书',
    until: '有效期至',
    step: '步骤',
    status: '状态',
    took: '用时',
    when: '时间',
    outcome: '结果',
    why: '原因',
    newUntil: '新证书有效期至',
  },
  foreign,
  error: ({ code, message, hint }) =>
    html`${errorText(code)}：${foreign(hint ? `${message} ${hint}` : message)}`,
  warning: (code, message) => html`${code}：${foreign(message)}`,
  held: (since, why) => html`自 ${since} 起暂停：${why}`,
  trouble: (since, event, severity) =>
    html`自 ${since} 起告警：${Object.hasOwn(EVENTS_ZH, event) ? EVENTS_ZH[event as keyof typeof EVENTS_ZH][0] : event}（${word(SEVERITIES, severity)}）`,
  failures: count => html`连续失败 ${count} 次`,
  nextKey: (since, pin) => html`自 ${since} 起公布的下一把密钥：${pin}`,
  decision: ({ due, reason, detail }) =>
    html`${due ? '需要处理' : '本次不处理'}，${word(REASONS, reason)}：${foreign(detail)}`,
  bound: '已绑定',
  spare: '备用',
  unread: '无法读取',
  nothing: '无',
  leaf: (name, keyType, issuer) => `${name}，${keyType}，由 ${issuer} 签发`,
  verdict: ({ profile, ok, address }, mark) =>
    html`<b>${profile ?? '所有设备'}</b> <span class="${mark}">${ok ? '接受' : '拒绝'}</span>${address === null ? '所绑定的证书' : ` ${address} 提供的证书`}`,
  check: (check, reason, remedy) =>
    html`${check}${reason && html`：${foreign(reason)}`}${remedy && html`。处理：${foreign(remedy)}`}`,
  step: step => named(STEPS, step),
  status: status => word(STATUS, status),
  outcome: outcome => word(OUTCOMES, outcome),
  why: code => (Object.hasOwn(REASONS, code) ? word(REASONS, code) : errorText(code)),
  online: {
    label: ({ at, count, usual }, bind) =>
      [
        `在线设备：${at} 为 ${count} 台`,
        usual === null ? '平时数量未知' : `平时 ${usual} 台`,
        ...(bind ? [`证书于 ${bind.boundAt} 更换`] : []),
        ...(bind && bind.fewest !== null ? [`此后最少 ${bind.fewest} 台`] : []),
      ].join('，'),
    count: '在线设备',
    usual: '该时段的平时数量',
    bound: at => `证书于 ${at} 更换`,
    legend: '虚线为平时数量，竖线为更换证书的时刻',
  },
  timeline: {
    label: said => `时间线：${said.join('，')}`,
    served: until => `所提供的证书有效期至 ${until}`,
    unseen: '未见到证书',
    rotations: count => `更换 ${count} 次`,
    failures: count => `失败 ${count} 次`,
    suggested: (start, end) => `CA 建议在 ${start} 至 ${end} 续期`,
    window: 'CA 建议的续期时段',
    life: (from, until) => `${from} 至 ${until}`,
    event: (outcome, at, error) => `${at} ${outcome}${error === null ? '' : `：${error}`}`,
    ends: ({ at }) => `${at} 有信任到期`,
    legend: '上方为失败，下方为更换；长线是现在',
  },
}
