package graph

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ParseError is a mistake in the text form. Columns count bytes from 1.
type ParseError struct {
	Line, Column int
	Err          error
}

func (e *ParseError) Error() string {
	return fmt.Sprintf("line %d, column %d: %v", e.Line, e.Column, e.Err)
}

// Unwrap gives the cause.
func (e *ParseError) Unwrap() error { return e.Err }

type tokenKind uint8

const (
	endToken  tokenKind = iota
	wordToken           // a name, a keyword or a number
	stringToken
	markToken // punctuation
)

type token struct {
	kind      tokenKind
	text      string // strings: without quotes
	line, col int
}

func (t token) String() string {
	switch t.kind {
	case endToken:
		return "the end of the text"
	case stringToken:
		return strconv.Quote(t.text)
	}
	return "'" + t.text + "'"
}

// lexer splits a text into tokens. Blanks and comments from # to the end of the line separate them.
type lexer struct {
	src       string
	pos       int
	line, bol int // bol: where the line begins
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.' || c == '/' || c == '+' || c == '-'
}

func (l *lexer) next() (token, error) {
	l.blank()
	t := token{line: l.line, col: l.pos - l.bol + 1}
	if l.pos == len(l.src) {
		return t, nil
	}
	rest := l.src[l.pos:]
	switch c := rest[0]; {
	case strings.HasPrefix(rest, "->"):
		t.kind, t.text = markToken, "->"
	case c == '"':
		q, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return t, &ParseError{t.line, t.col, errors.New("a string without end, or with a wrong escape")}
		}
		t.kind, t.text = stringToken, ""
		t.text, err = strconv.Unquote(q)
		l.pos += len(q)
		return t, err
	case isWord(c):
		n := 1
		for n < len(rest) && isWord(rest[n]) {
			n++
		}
		t.kind, t.text = wordToken, rest[:n]
	case strings.IndexByte("{}()[],:=@*?", c) >= 0:
		t.kind, t.text = markToken, rest[:1]
	default:
		return t, &ParseError{t.line, t.col, fmt.Errorf("unexpected character %q", c)}
	}
	l.pos += len(t.text)
	return t, nil
}

func (l *lexer) blank() {
	for l.pos < len(l.src) {
		switch l.src[l.pos] {
		case '\n':
			l.line++
			l.bol = l.pos + 1
		case ' ', '\t', '\r':
		case '#':
			if n := strings.IndexByte(l.src[l.pos:], '\n'); n >= 0 {
				l.pos += n
				continue
			}
			l.pos = len(l.src)
			return
		default:
			return
		}
		l.pos++
	}
}
