/** Style sheets are bundled beside the script; importing one brings nothing in. */
declare module '*.css';
