/**
 * English words that carry a sentence rather than its subject. A question is searched without them, unless it has nothing else.
 *
 * Words that are also names of things in code or in talk (it, us, will, can, may) are here only in the senses a question uses.
 */
const STOP_WORDS = `
a an the this that these those
i me my mine myself we us our ours ourselves you your yours yourself yourselves
he him his himself she her hers herself it its itself they them their theirs themselves
am is are was were be been being do does did doing done have has had having
will would shall should can could may might must
and or but nor if then else so because as until while though although than
of at by for with about against between into through during before after above below to from
in on off over under again further once out up down upon within without toward towards
who whom whose which what when where why how
there here all any both each few more most other others some such no not only own same too very just also
anyone anything someone something everyone everything
im ive id youre hes shes thats whats wheres whos dont doesnt didnt isnt arent wasnt werent hasnt havent hadnt
wont wouldnt cant couldnt shouldnt lets
many much ever yet still please tell
`;

/** Whether `word`, lower-cased and without apostrophes, is too common in English to say what a question is about. */
export function isStopWord(word: string): boolean {
  return stopWords.has(word);
}

const stopWords: ReadonlySet<string> = new Set(STOP_WORDS.trim().split(/\s+/));
