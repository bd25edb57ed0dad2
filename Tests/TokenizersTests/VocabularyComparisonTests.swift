import KaratBytes
import KaratTokenizers
import Testing

@Suite struct VocabulariesOfTwoTokenizers {
  private func tokenizer(
    _ vocabulary: JSONValue,
    added: [JSONValue] = []
  ) throws -> Tokenizer {
    let model: JSONValue = ["type": "WordLevel", "vocab": vocabulary, "unk_token": "x"]
    return try Tokenizer(document(["added_tokens": .array(added)], model: model), file: "t")
  }

  private func added(_ id: Int, _ content: String) -> JSONValue {
    [
      "id": .number(JSONNumber(id)), "content": .string(content), "special": true,
      "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
    ]
  }

  private func difference(_ student: Tokenizer, _ teacher: Tokenizer) -> String? {
    do {
      try student.checkVocabulary(against: teacher, student: "small", teacher: "large")
      return nil
    } catch {
      return error.description
    }
  }

  private let rest =
    "ids differ, and a student learns from probabilities of the same tokens. Choose a student and a teacher that share a tokenizer, or let the student learn on text that the teacher writes."

  @Test func theOrderOfTheFileSaysNothing() throws {
    let left = try tokenizer(["x": 0, "b": 1, "c": 2])
    let right = try tokenizer(["c": 2, "x": 0, "b": 1])
    #expect(difference(left, right) == nil)
    #expect(left.vocabularyDigest == right.vocabularyDigest)
  }

  @Test func oneSizeIsNotOneVocabulary() throws {
    let left = try tokenizer(["x": 0, "b": 1, "c": 2, "d": 3])
    let right = try tokenizer(["x": 0, "c": 1, "b": 2, "d": 3])
    #expect(
      difference(left, right)
        == "small: id 1 is 'b'; for the teacher, large, it is 'c'. 2 of 4 \(rest)"
    )
    #expect(left.vocabularyDigest != right.vocabularyDigest)
  }

  @Test func tokensThatOnlyOneHasAreNamed() throws {
    let left = try tokenizer(["x": 0, "b": 1])
    let right = try tokenizer(["x": 0, "b": 1, "c": 3])
    #expect(
      difference(left, right)
        == "small: id 3 is no token; for the teacher, large, it is 'c'. 1 of 4 \(rest)"
    )
    #expect(
      difference(right, left)
        == "small: id 3 is 'c'; for the teacher, large, it is no token. 1 of 4 \(rest)"
    )
  }

  @Test func addedTokensCount() throws {
    let left = try tokenizer(["x": 0], added: [added(1, "<end>")])
    let right = try tokenizer(["x": 0], added: [added(1, "<\u{7}stop>")])
    #expect(
      difference(left, right)
        == "small: id 1 is '<end>'; for the teacher, large, it is '<\\u{07}stop>'. 1 of 2 \(rest)"
    )
    // Where a token stands says nothing: in the vocabulary, or added to it.
    let inside = try tokenizer(["x": 0, "<end>": 1])
    #expect(difference(left, inside) == nil)
    #expect(left.vocabularyDigest == inside.vocabularyDigest)
  }

  @Test func bytesAreComparedAndNotLetters() throws {
    let left = try tokenizer(["x": 0, "é": 1])
    let right = try tokenizer(["x": 0, "e\u{301}": 1])
    #expect(difference(left, right)?.hasPrefix("small: id 1 is") == true)
  }

  @Test func realTokenizersDiffer() throws {
    let left = try Fixture.tokenizer("tokenizers/smollm2.json")
    let right = try Fixture.tokenizer("tokenizers/minilm.json")
    #expect(difference(left, left) == nil)
    #expect(difference(left, right)?.contains("id 0 is '<|endoftext|>'") == true)
  }
}
