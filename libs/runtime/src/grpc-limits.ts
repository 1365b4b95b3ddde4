/** The largest message that both ends take: 16 MiB. A bulk call splits what it sends. */
export const maxMessageBytes = 16 * 1024 * 1024;
