import KaratPatterns
import KaratTensors
import Testing

@Suite struct ModulePatternTests {
  @Test(arguments: [
    ("lm_head", "lm_head", true), ("lm_head", "lm_head.x", false),
    ("re:.*mlp\\.gate$", "model.layers.0.mlp.gate", true),
    ("re:.*mlp\\.gate$", "model.layers.0.mlp.gate_proj", false),
    ("re:layers", "model.layers.0", false), ("re:model", "model.layers.0", true),
    ("re:.*\\.(q|k|v)_proj", "model.layers.10.self_attn.k_proj", true),
    ("re:model\\.layers\\.\\d+\\.", "model.layers.10.x", true), ("re:", "", true),
    ("re:(?!lm_head).*", "lm_head", false), ("re:(?!lm_head).*", "model", true),
  ])
  func matchesFromTheBeginning(_ pattern: String, _ name: String, _ isMatch: Bool) throws {
    #expect(try #require(ModulePattern(pattern)).matches(TensorName(name)) == isMatch)
  }

  @Test(arguments: ["re:(open", "re:*", "re:[a", "re:\\"])
  func refusesWhatItCannotRead(_ pattern: String) {
    #expect(ModulePattern(pattern) == nil)
  }

  /// A config may come with names that are made for it: none of these ends where choices are tried
  /// in turn.
  @Test(arguments: ["re:(a*)*b", "re:(a|a)*b", "re:(.*)*x", "re:(a?){400}a{400}b"])
  func endsOnHostilePatterns(_ pattern: String) throws {
    let name = TensorName(String(repeating: "a", count: 2000))
    #expect(try #require(ModulePattern(pattern)).matches(name) == false)
  }

  @Test func comparesByBytes() throws {
    #expect(ModulePattern("a") == ModulePattern("a"))
    #expect(ModulePattern("\u{e9}") != ModulePattern("e\u{301}"))
    #expect(ModulePattern(exactly: "re:a").matches("re:a"))
  }
}
