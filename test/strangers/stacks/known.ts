/** Where the judge and a stack may differ, and why. A silent "accepts" is never among them. */
export interface Known {
  /** Part of the names of the stacks. */
  readonly stack: RegExp
  /** Of the name of the case. */
  readonly name: RegExp
  /** `stricter`: the judge refuses what the stack takes; `warned`: it takes with a warning what the stack refuses. */
  readonly kind: 'stricter' | 'warned'
  readonly reason: string
}

const ALL = /./
const stricter = (stack: RegExp, name: RegExp, reason: string): Known => ({
  stack,
  name,
  kind: 'stricter',
  reason,
})
const warned = (stack: RegExp, name: RegExp, reason: string): Known => ({
  stack,
  name,
  kind: 'warned',
  reason,
})

export const KNOWN: readonly Known[] = [
  stricter(
    /bundle/,
    /sha224: middle/,
    'of the last certificate the bundle of IDF looks at no hash; Mbed TLS does with roots of its own',
  ),
  stricter(
    /bundle/,
    /critical: root/,
    'the bundle of IDF knows names and keys of roots alone; the next one may know more',
  ),
  stricter(ALL, /netscape type critical/, 'no CA of today issues it critical, and other stacks refuse it'),
  stricter(
    ALL,
    /common name(?! and)|partial wildcard|a dot at the end/,
    'the name must be an alternative name, whole or with one leading wildcard (RFC 9525)',
  ),
  stricter(
    ALL,
    /with sha1|PSS with sha1|MD5/,
    'SHA-1 and MD5 are refused of every certificate, whatever a stack still takes',
  ),
  stricter(
    ALL,
    /expired|not yet valid/,
    'every certificate that is sent, or the root that issues it, must be valid (IDF looks at no dates by default)',
  ),
  stricter(
    ALL,
    /: beyond|cross-sign|an old root/,
    'what is uploaded must be good as a whole, beyond the root, too',
  ),
  stricter(
    ALL,
    /use of purpose/,
    'a purpose is asked of every certificate of the path, and "any" is not enough for OpenSSL',
  ),
  stricter(
    ALL,
    /excluded this|permitted another/,
    'name constraints count, critical or not, whether a stack looks at them or not',
  ),
  stricter(
    ALL,
    /(no CA|no basic constraints|no certificate signing|no extensions|version 1): root/,
    'a root is asked what any CA is asked, whatever a stack takes of a root',
  ),
  stricter(
    ALL,
    /version 1: (root|beyond)|no extensions: beyond/,
    'wolfSSL 5.9 takes no root of version 1 without extensions in every build',
  ),
  stricter(
    ALL,
    /identifier of another|of its own kind|names another as its issuer/,
    'key identifiers that do not fit are taken for another issuer, as OpenSSL does',
  ),
  stricter(ALL, /of the root|root zero/, 'path lengths of the root count; the bundle of IDF knows none'),
  stricter(ALL, /key dsa/, 'DSA is refused of every certificate'),
  stricter(
    ALL,
    /key (rsa-1024|rsa-5120|ec-192|ec-224|ec-k256|ec-bp256|ec-compressed|rsa-pss|ed25519|ed448)|Ed25519/,
    'keys beside RSA of 2048 to 4096 bits and the three curves of TLS 1.3 are not known by every version or build',
  ),
  stricter(
    ALL,
    /wrong order|the leaf twice|intermediate twice|a stranger|root before/,
    'the way is looked for as Mbed TLS does, from the leaf on',
  ),
  stricter(
    ALL,
    /\d KB|over 100/,
    'IoTDA takes 65,535 characters of PEM, and one record is what the strictest version takes',
  ),
  stricter(ALL, /intermediates/, 'as many certificates as the smallest limit of a version'),
  stricter(/OpenSSL of Debian/, /one name|self-issued|named as the root/, 'OpenSSL 4.0 refuses it'),
  stricter(/OpenSSL, newest/, /names another/, 'OpenSSL 3.0 refuses it'),
  stricter(
    /wolfSSL/,
    /subject key identifier/,
    'wolfSSL finds an issuer without it only where the identifier is made of its key in the usual way',
  ),
  stricter(/wolfSSL, default/, /a CA as a leaf/, 'wolfSSL 5.5 refuses it'),
  stricter(
    /wolfSSL of Debian|GnuTLS|bundle/,
    /two of one name/,
    'which of two roots of one name is tried depends on how they are stored',
  ),
  stricter(
    /wolfSSL of Debian/,
    ALL,
    'built for the API of OpenSSL (OPENSSL_ALL, alternate chains, more algorithms): the default build decides',
  ),
  stricter(/GnuTLS/, ALL, 'no preset of its own: judged as a device of which nothing is known'),
  warned(
    /wolfSSL of Debian/,
    /root|permitted|constraints/,
    'this build refuses name constraints in a root; the default build takes them',
  ),
  warned(
    /wolfSSL of Debian/,
    /no key usage/,
    'this build refuses a CA without a key usage; the default build takes it',
  ),
  warned(
    /OpenSSL/,
    /ml-dsa|ML-DSA/,
    'the server of the test does not send it in TLS 1.2; in TLS 1.3 OpenSSL takes it',
  ),
  warned(/GnuTLS/, ALL, 'no preset of its own: judged as a device of which nothing is known, with a warning'),
  warned(
    /OpenSSL/,
    /the held one last/,
    'a port that sends it: OpenSSL follows the first of two issuers of one name, and does not come back',
  ),
  stricter(
    ALL,
    /empty authority|authority key identifier|wrong serial/,
    'an authority key identifier that fits nothing, or holds nothing, is refused by another stack',
  ),
  stricter(
    ALL,
    /a critical .* key identifier/,
    'RFC 5280 wants key identifiers not critical, and other stacks refuse it',
  ),
  stricter(
    /OpenSSL, newest/,
    /one name|self-issued|named as the root/,
    'OpenSSL 4.0.1 refuses it, 4.0.3 does not',
  ),
  stricter(
    ALL,
    /no key identifier in any CA/,
    'wolfSSL finds an issuer without it only where the identifier is made of its key in the usual way',
  ),
  stricter(
    ALL,
    /excluded (everything|the organization)/,
    'name constraints count, critical or not, whether a stack looks at them or not',
  ),
  stricter(ALL, /a leaf that signed itself/, 'a chain leads to a CA'),
  stricter(
    ALL,
    /version [124]\b|unique identifiers|no policy among|part of a name that is empty|ECDSA with parameters|URI without|an empty (DNS name|URI|directory name)|an address of (5|no) bytes|no CA, in so many words|of 2\^31|times with|two algorithms|PSS without/,
    'RFC 5280 forbids CAs to write it, and other stacks do not read it',
  ),
  stricter(
    ALL,
    /a twin|another of its name|named as the root, no key/,
    'of several roots that are held any may be taken: how they are stored decides',
  ),
  stricter(/wolfSSL, default/, /of 17 parts/, 'wolfSSL 5.5 reads names of 13 parts at most'),
  stricter(
    /bundle/,
    /(the subject has another|the leaf has another|a minimum on|a maximum): root/,
    'the bundle of IDF knows names and keys of roots alone; the next one may know more',
  ),
]
