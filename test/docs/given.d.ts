/** What the pieces and programs of the documents leave to their readers, on either side. */
declare function getToken(): Promise<string>;
