// What attackers write into logs, hoping that somebody looks at it in a browser.

export const hostiles = [
  '<script>window.pwned=1</script>',
  '<img src=x onerror="window.pwned=1">',
  '"><svg onload=window.pwned=1>',
  "';window.pwned=1;//",
  '{{constructor.constructor("window.pwned=1")()}}',
  'javascript:window.pwned=1',
  '</pre></textarea><iframe srcdoc="<script>parent.pwned=1</script>">',
  '\u202egnp.exe',
  '%3Cscript%3Ewindow.pwned=1%3C/script%3E',
  '<style>*{display:none}</style>',
];

/** A rule whose every word is hostile, and that fires on hostile lines. */
export const hostileRule = `title: '<img src=x onerror="window.pwned=1"> title'
id: 5d5cd0de-0d8c-4b54-9c0a-3ddc2a2f6a10
status: test
description: '<script>window.pwned=1</script> description'
author: '"><svg onload=window.pwned=1>'
references: ['javascript:window.pwned=1', '<script>window.pwned=1</script>']
falsepositives: ['<style>*{display:none}</style>']
logsource: {product: linux, service: sshd}
detection: {selection: {message|contains: pwned}, condition: selection}
level: critical
tags: [attack.execution, attack.t1059]
`;
