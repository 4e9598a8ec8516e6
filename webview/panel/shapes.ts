/** A length, the name of an open one, or null where it is unknown. */
export type Dimension = number | string | null;
