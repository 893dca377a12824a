import type { Rule } from '../api/model';

/** True if the file was written here, so that it can be written again and removed. */
export const ownFile = (rule: Rule): boolean => rule.own_file != null;

/** The file's name without folder and ending. */
export function fileName(rule: Rule): string {
  const last = rule.file.split(/[/:]/).at(-1) ?? rule.file;
  return last.replace(/\.ya?ml$/, '').replace(/[^\w.-]/g, '_') || 'my-rule';
}

export const template = `title: Log-in as root over SSH
id: ${crypto.randomUUID()}
status: experimental
description: Somebody logged in as root from elsewhere.
author: me
logsource:
  product: linux
  service: sshd
detection:
  selection:
    message|startswith: 'Accepted '
    message|contains: ' for root '
  condition: selection
falsepositives:
  - maintenance
level: medium
tags:
  - attack.initial-access
  - attack.t1078
`;
