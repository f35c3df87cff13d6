/** Of the format of the state's texts. Version 1 is keyferry 0.1.0's, which has no file that says it. */
export const STATE_VERSION = 2
