/// How the names under `tokenizer.ggml.pre` split text: the patterns of the models' own files.
struct GGUFPreTokenizer: Sendable {
  /// Applied one after the other, each to what the ones before left in pieces.
  let patterns: [String]
  /// Whether a piece that is a token is not merged from its parts.
  var ignoresMerges = false
  /// Whether texts begin with the start token unless the file says otherwise.
  var addsBegin = false

  /// The way a name stands for, or nil where it is not known.
  static func named(_ name: String) -> GGUFPreTokenizer? { table[name] }

  /// The first name in the list that stands for a way to split, or nil where none does.
  static func name(splitting patterns: [String], ignoringMerges: Bool) -> String? {
    let found = list.first { $1.patterns == patterns && $1.ignoresMerges == ignoringMerges }
    return found?.0.first
  }

  static let names = table.keys.sorted()

  private static let table: [String: GGUFPreTokenizer] = {
    var table: [String: GGUFPreTokenizer] = [:]
    for (names, preTokenizer) in list {
      for name in names { table[name] = preTokenizer }
    }
    return table
  }()

  private static let list: [([String], GGUFPreTokenizer)] = [
    (["default"], .init(patterns: [#"[\p{P}$+<=>^~|]+"#, gpt2, #"\p{N}+"#, "[0-9][0-9][0-9]"])),
    (
      [
        "gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4",
        "gigachat", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "jina-v1-en",
        "jina-v2-code", "roberta-bpe", "a.x-4.0", "mellum", "modern-bert",
      ], .init(patterns: [gpt2])
    ),
    (
      [
        "smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b",
        "mellum2",
      ], .init(patterns: [#"\p{N}"#, gpt2])
    ),
    (
      [
        "llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
        "jina-v5-nano",
      ], .init(patterns: [words(digits: "{1,3}")], ignoresMerges: true, addsBegin: true)
    ),
    (["glm4", "glm5"], .init(patterns: [words(digits: "{1,3}")], ignoresMerges: true)),
    (["dbrx", "chatglm-bpe", "smaug-bpe"], .init(patterns: [words(digits: "{1,3}")])),
    (
      [
        "qwen2", "stablelm2", "hunyuan", "megrez", "deepseek-r1-qwen", "kormo", "f2llmv2",
        "grok-2", "solar-open",
      ], .init(patterns: [words(digits: "")])
    ),
    (["qwen35"], .init(patterns: [wordsWithMarks])),
    (["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"], .init(patterns: [casedWords])),
    (["tekken"], .init(patterns: [tekken], ignoresMerges: true, addsBegin: true)),
    (
      ["deepseek-v3", "hunyuan-dense", "joyai-llm"],
      .init(patterns: [#"\p{N}{1,3}"#, "[一-龥\u{3040}-ゟ゠-ヿ]+", deepSeek])
    ),
    (
      ["deepseek-llm"],
      .init(patterns: [
        "[\r\n]", #"\s?["# + casedLetters + "]+",
        "\\s?[!-/:-~\u{ff01}-\u{ff0f}\u{ff1a}-\u{ff5e}‘-‟\u{3000}-。]+", #"\s+$"#, ideographs,
        #"\p{N}+"#,
      ])
    ),
    (
      ["deepseek-coder"],
      .init(patterns: ["[\r\n]", #"\s?\p{L}+"#, #"\s?\p{P}+"#, ideographs, #"\p{N}"#])
    ),
    (["falcon"], .init(patterns: [#"[\p{P}$+<=>^~|`]+"#, gpt2, "[0-9][0-9][0-9]"])),
    (["bloom", "poro-chat", "gpt3-finnish"], .init(patterns: [bloom])),
    (["viking"], .init(patterns: [bloom, #"\p{N}"#])),
    (["bailingmoe", "bailingmoe2", "llada-moe"], .init(patterns: [bailing])),
    (["seed-coder"], .init(patterns: [seedCoder])),
  ]

  static let gpt2 =
    #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

  private static let clitics = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
  private static let spaces = #"\s*[\r\n]+|\s+(?!\S)|\s+"#

  private static func words(digits: String) -> String {
    clitics + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"# + digits
      + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|"# + spaces
  }

  private static let ideographs = "[一-龥ࠀ-一가-\u{d7ff}]+"

  private static let wordsWithMarks =
    clitics + #"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|"# + spaces

  private static let upper = #"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"#
  private static let lower = #"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"#

  private static func casedWords(ending: String, digits: String) -> String {
    #"[^\r\n\p{L}\p{N}]?"# + upper + "*" + lower + "+" + ending
      + #"|[^\r\n\p{L}\p{N}]?"# + upper + "+" + lower + "*" + ending
      + #"|\p{N}"# + digits + #"| ?[^\s\p{L}\p{N}]+[\r\n/]*|"# + spaces
  }

  private static let casedWords = casedWords(ending: clitics + "?", digits: "{1,3}")
  private static let tekken = casedWords(ending: "", digits: "")

  private static let deepSeek =
    ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##
    + #"| ?[\p{P}\p{S}]+[\r\n]*|"# + spaces

  private static let bloom = #" ?[^(\s|.,!?…。，、।۔،)]+"#

  private static let bailing =
    #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*"#
    + #"|\s*[\r\n]|\s+(?!\S)|\s+"#

  private static let seedCoder =
    clitics + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|"# + spaces
}
