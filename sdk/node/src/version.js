/** The version of this SDK. Beats tell it where the service has none of its own. */
export const VERSION = '0.1.0';
