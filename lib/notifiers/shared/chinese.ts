import type { ErrorCode } from '../../model/errors.ts'
import type { EventName } from '../../model/events.ts'

/** The vocabulary in Chinese: what follows the name of a target, and what to do. */
export const EVENTS_ZH: Readonly<Record<EventName, { readonly text: string; readonly todo: string }>> = {
  rotated: { text: '已换上新证书', todo: '无需处理：设备已使用新证书。' },
  repaired: {
    text: '已修复：重新提供已绑定的证书',
    todo: '暂时无需处理。若再次出现，请查明谁修改了域名配置。',
  },
  failed: { text: '续期失败', todo: '请查看错误信息；程序会在退避后自动重试。' },
  'rolled-back': {
    text: '已回滚：重新绑定旧证书',
    todo: '请查明新证书为何无法正常提供；该证书不会再次绑定。',
  },
  refused: { text: '未得到设备可接受的证书', todo: '请查看预检结果；更换证书来源、密钥类型或设备配置。' },
  held: { text: '已暂停：在人工确认之前不做任何更改', todo: '查明原因后运行 `iotda-cert resume`。' },
  suspended: { text: '等待时间过长', todo: '用 `iotda-cert status` 查看哪一步在等待、在等谁。' },
  paused: {
    text: '暂时不能下单：受 CA 或预算限制',
    todo: '到时间之前无法加速，请勿强制下单；请查明额度为何用尽。',
  },
  expiring: { text: '剩余时间不足', todo: '请在证书到期前排除原因，然后运行 `iotda-cert rotate --force`。' },
  'root-ending': {
    text: '所依赖的根证书或交叉签名即将到期',
    todo: '请提前为设备准备新的信任根，或更换证书链。',
  },
  recalled: {
    text: 'CA 要求立即更换其证书',
    todo: '无需处理：证书会被更换，除非上一张也被召回。请查看证书是否已被吊销。',
  },
  adopted: { text: '绑定了他人上传的证书，今后一并维护', todo: '请确认这是有意的操作。' },
  unverified: {
    text: '从这里无法访问设备端口：更改未经验证',
    todo: '请在能访问设备端口的地方运行 `iotda-cert probe`。',
  },
  'slot-deleted': { text: '已删除一张被取代的证书以腾出空位', todo: '无需处理：该证书未被绑定。' },
  recovered: { text: '已恢复正常', todo: '无需处理。' },
  'settings-invalid': {
    text: '无法运行：配置有误',
    todo: '请修正列出的问题；在此之前没有任何目标得到维护。',
  },
  'run-failed': { text: '完全无法运行', todo: '请排除错误所指的原因；在此之前没有任何目标得到维护。' },
  test: { text: '发送一条测试消息', todo: '无需处理：这是测试。' },
  'watch-unreachable': { text: '设备端口无法访问', todo: '请检查 DNS、网络和实例：设备同样无法连接。' },
  'watch-untrusted': {
    text: '提供的证书不被设备信任',
    todo: '请绑定可用的证书：`iotda-cert rollback`，或在控制台操作。',
  },
  'watch-wrong-name': { text: '提供的证书属于其他域名', todo: '请检查实例的域名配置及其绑定的证书。' },
  'watch-rotator-silent': {
    text: '长时间没有完成一次运行',
    todo: '请查看轮换程序的日志与定时任务；手动运行 `iotda-cert rotate`。',
  },
}

/** What an error code means. */
export const ERRORS_ZH: Readonly<Record<ErrorCode, string>> = {
  usage: '命令或事件无法理解',
  'settings-invalid': '配置有误',
  unauthorized: '服务拒绝了凭证或签名（401）',
  forbidden: '凭证没有此操作的权限（403）',
  unreachable: '无法连接到所配置的地址',
  'domain-configuration-missing': '实例没有域名配置',
  'domain-mismatch': '域名配置与设置中的域名不一致',
  'certificate-invalid': '来源给出的证书不可用',
  'solver-zone-missing': 'DNS 服务中没有该域名的区域',
  'delegation-mismatch': '域名没有委派到写入验证记录的 DNS 区域',
  'caa-forbids': 'CAA 记录不允许该 CA 签发证书',
  'ca-rejected': 'CA 拒绝了当前配置的请求',
  unavailable: '服务出错或回应无法读取',
  throttled: '服务要求减少调用',
  'service-refused': '服务拒绝了调用',
  'rate-limited': 'CA 要求等待',
  'validation-failed': 'CA 无法验证域名',
  'order-failed': 'CA 放弃了订单',
  'not-renewed': '来源没有比已绑定证书更新的证书',
  'propagation-timeout': 'TXT 记录没有到达所有权威服务器',
  'preflight-refused': '设备不会接受新证书',
  'slots-full': '两个证书位都已占用且都不可删除',
  'add-uncertain': '不确定平台是否收下了证书',
  'not-served': '设备端口没有提供已绑定的证书',
  'nothing-to-roll-back': '没有可回退的旧证书',
  'store-unreadable': '状态无法读取',
  'store-conflict': '状态被另一个程序修改',
  'lease-lost': '另一个运行接手了',
  busy: '另一个运行正在处理该实例',
  changed: '运行期间绑定不断变化',
  'out-of-time': '运行时间已用完',
  internal: 'iotda-cert 自身的错误',
}
