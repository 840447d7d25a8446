/**
 * English words that carry a sentence rather than its subject. A question is searched without them, unless it has nothing else.
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

const SUFFIX = /'.*$/;

/**
 * Whether `word` is too common in English to say what a question is about.
 *
 * With `keepCapitals`, a word written in capitals only is taken for a name: US, IT, WHO.
 */
export function isStopWord(word: string, keepCapitals: boolean): boolean {
  if (keepCapitals && word.length > 1 && word === word.toUpperCase()) return false;
  const lower = word.toLowerCase();
  if (stopWords.has(lower)) return true;
  return lower.includes("'") && (stopWords.has(lower.replaceAll("'", "")) || stopWords.has(lower.replace(SUFFIX, "")));
}

const stopWords: ReadonlySet<string> = new Set(STOP_WORDS.trim().split(/\s+/));
