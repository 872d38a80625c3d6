/** The studio's own version, as package.json has it: it goes into recipes. */
export const software = { name: 'loratory', version: '0.1.0' } as const;
